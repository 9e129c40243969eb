// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// One line on a terminal that is drawn over again as work goes on.
final class ProgressLine {
    private let isShown: Bool
    private var width = 0

    /// A line on standard error, shown only there is a terminal.
    init(quiet: Bool) {
        isShown = !quiet && isatty(STDERR_FILENO) == 1
    }

    /// Shows steps done, seconds a step and the time left.
    func show(step: Int, of steps: Int, secondsPerStep: Double, label: String) {
        guard isShown else { return }
        let cells = 24
        let filled = steps > 0 ? cells * step / steps : 0
        let bar =
            String(repeating: "█", count: filled) + String(repeating: "░", count: cells - filled)
        let left = Double(steps - step) * secondsPerStep
        write(
            "\(label) \(bar) \(step)/\(steps)  \(Self.text(secondsPerStep)) a step,"
                + " \(Self.text(left)) left")
    }

    /// Shows the share of something that is done.
    func show(share: Double, label: String) {
        guard isShown else { return }
        write("\(label) \(Int(share * 100)) %")
    }

    /// Removes the line.
    func clear() {
        guard isShown, width > 0 else { return }
        write("")
        emit("\r")
        width = 0
    }

    private func write(_ text: String) {
        let padding = String(repeating: " ", count: max(0, width - text.count))
        emit("\r" + text + padding)
        width = text.count
    }

    private func emit(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
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
