// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// A progress line on a terminal that is overwritten by each update.
final class ProgressLine {
    private let isShown: Bool
    private var width = 0

    /// Creates a line on standard error; nothing is shown unless that is a terminal.
    init(quiet: Bool) {
        isShown = !quiet && isatty(STDERR_FILENO) == 1
    }

    /// Shows finished steps, seconds per step and the remaining time.
    func show(step: Int, of steps: Int, secondsPerStep: Double, label: String) {
        guard isShown else { return }
        let left = Double(steps - step) * secondsPerStep
        write(
            "\(label) \(Self.bar(step, of: steps)) \(step)/\(steps)  \(Self.text(secondsPerStep)) a"
                + " step, \(Self.text(left)) left")
    }

    /// Shows finished bytes, bytes per second and the remaining time.
    func show(bytes: Int, of total: Int, perSecond: Double, label: String) {
        guard isShown else { return }
        let left =
            perSecond > 0 ? ", \(Self.text(Double(total - bytes) / perSecond)) left" : ""
        write(
            "\(label) \(Self.bar(bytes, of: total)) \(bytes.byteText) of \(total.byteText),"
                + " \(Int(perSecond).byteText)/s\(left)")
    }

    private static func bar(_ done: Int, of total: Int) -> String {
        let cells = 24
        let filled = total > 0 ? min(cells, cells * done / total) : 0
        return String(repeating: "█", count: filled) + String(repeating: "░", count: cells - filled)
    }

    /// Shows the finished fraction of a task.
    func show(share: Double, label: String) {
        guard isShown else { return }
        write("\(label) \(Int(share * 100)) %")
    }

    /// Shows the current activity.
    func show(_ text: String) {
        guard isShown else { return }
        write(text)
    }

    /// Removes the line.
    func clear() {
        guard isShown, width > 0 else { return }
        write("")
        emit("\r")
        width = 0
    }

    private func write(_ text: String) {
        // A line that wraps could not be overwritten.
        let shown = text.prefix(max(1, Self.columns - 1))
        let padding = String(repeating: " ", count: max(0, width - shown.count))
        emit("\r" + shown + padding)
        width = shown.count
    }

    private func emit(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }

    /// Current number of columns of the terminal; 80 if unknown.
    private static var columns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// `0.12 s`, `4.5 s` or `3:05 min`.
    static func text(_ seconds: Double) -> String {
        guard seconds < 100 else {
            let whole = Int(seconds.rounded())
            let rest = whole % 60
            return "\(whole / 60):\(rest < 10 ? "0" : "")\(rest) min"
        }
        let digits = seconds < 1 ? 100.0 : 10.0
        return "\((seconds * digits).rounded() / digits) s"
    }
}
