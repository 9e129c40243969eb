// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// Shows a run while it goes on.
///
/// An image of it is redrawn on a terminal, else there is a line every 10 seconds. It reads a snapshot; nothing in the path of a request waits for it.
package final class LiveView: RunObserver {
    private struct State {
        var visit: LevelVisit?
        var watch: LevelWatch?
        var drawn = 0
    }

    private let isTerminal: Bool
    private let state = Mutex(State())
    private let write: @Sendable (String) -> Void

    /// - Parameters:
    ///   - isTerminal: whether to redraw.
    ///   - write: where the text goes.
    package init(isTerminal: Bool, write: @escaping @Sendable (String) -> Void) {
        self.isTerminal = isTerminal
        self.write = write
    }

    /// For standard output: redraws if that is a terminal and neither `NO_COLOR` nor `CI` is set.
    package static func standard() -> LiveView {
        let environment = ProcessInfo.processInfo.environment
        let isTerminal =
            isatty(STDOUT_FILENO) == 1 && environment["NO_COLOR"] == nil
            && environment["CI"] == nil && environment["TERM"] != "dumb"
        return LiveView(isTerminal: isTerminal) { text in
            FileHandle.standardOutput.write(Data(text.utf8))
        }
    }

    package func begin(_ visit: LevelVisit) {
        state.withLock { state in
            state.visit = visit
            state.watch = nil
            state.drawn = 0
        }
        if !isTerminal { write("\(visit.level) r\(visit.visit): begins\n") }
    }

    package func watch(_ watch: LevelWatch) { state.withLock { $0.watch = watch } }

    package func end(_ visit: LevelVisit, _ result: LevelResult) {
        let drawn = state.withLock { state in
            state.watch = nil
            defer { state.drawn = 0 }
            return state.drawn
        }
        let account = result.accounting
        write(
            Self.erase(drawn)
                + "\(visit.level) r\(visit.visit): \(account.valid) valid, \(account.failed) failed"
                + (account.dropped > 0 ? ", \(account.dropped) dropped" : "")
                + (account.inFlightAtCut > 0 ? ", \(account.inFlightAtCut) given up" : "")
                + (result.hold.held > 0 ? String(format: ", held %.1f s", result.hold.held) : "")
                + (result.resources.testerCores.map {
                    String(format: ", tester %.3f cores", $0)
                } ?? "") + "\n")
    }

    /// Draws until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: isTerminal ? .milliseconds(250) : .seconds(10))
            if !Task.isCancelled { draw() }
        }
    }

    private func draw() {
        let (watch, visit, drawn) = state.withLock { ($0.watch, $0.visit, $0.drawn) }
        guard let watch, let visit else { return }
        let snapshot = watch.snapshot
        guard isTerminal else {
            write(Self.line(visit, snapshot) + "\n")
            return
        }
        let lines = Self.screen(visit, snapshot, process: watch.view.process)
        write(Self.erase(drawn) + lines.joined(separator: "\n") + "\n")
        state.withLock { $0.drawn = lines.count }
    }

    /// Back over what was drawn.
    private static func erase(_ lines: Int) -> String {
        lines == 0 ? "" : "\u{1B}[\(lines)A\u{1B}[J"
    }

    // MARK: Text

    /// One line for logs.
    package static func line(_ visit: LevelVisit, _ snapshot: LevelSnapshot) -> String {
        "\(visit.level) \(snapshot.phase.rawValue): in flight \(snapshot.inFlight),"
            + String(format: " X %.2f/s,", snapshot.throughput)
            + " E2E p50 \(ms(snapshot.endToEndP50)) p95 \(ms(snapshot.endToEndP95)) ms,"
            + " TTFP p50 \(ms(snapshot.firstPreviewP50)) ms, ended \(snapshot.ended),"
            + " errors \(errors(snapshot))"
    }

    /// What a terminal shows.
    package static func screen(
        _ visit: LevelVisit, _ snapshot: LevelSnapshot, process: Int?
    ) -> [String] {
        let left = snapshot.secondsLeft.map { String(format: "%.0f s left", max(0, $0)) } ?? ""
        let residual = snapshot.littleResidual.map { String(format: "%+.1f %%", 100 * $0) } ?? "-"
        let memory = process.flatMap { ProcessTable.reading(ProcessTable.tree($0)) }
        let own = ProcessTable.reading([Int(ProcessInfo.processInfo.processIdentifier)])
        return [
            "\(visit.level) r\(visit.visit)  \(snapshot.phase.rawValue)  \(left)",
            "  in flight \(snapshot.inFlight)   ended \(snapshot.ended)   dropped"
                + " \(snapshot.dropped)   errors \(errors(snapshot))",
            String(format: "  X %.2f img/s   Little residual ", snapshot.throughput) + residual,
            "  E2E ms p50 \(ms(snapshot.endToEndP50)) p95 \(ms(snapshot.endToEndP95))"
                + "   TTFP ms p50 \(ms(snapshot.firstPreviewP50))",
            "  server \(mib(memory?.resident)) MiB   tester \(mib(own?.resident)) MiB",
            "  " + sparkline(snapshot.perSecond),
        ]
    }

    /// Bars of eight heights.
    package static func sparkline(_ values: [Int]) -> String {
        let bars = Array("\u{2581}\u{2582}\u{2583}\u{2584}\u{2585}\u{2586}\u{2587}\u{2588}")
        let most = max(1, values.max() ?? 1)
        return String(values.map { $0 == 0 ? " " : bars[min(7, ($0 * 8 - 1) / most)] })
    }

    private static func ms(_ value: Double?) -> String {
        value.map { String(format: "%.0f", $0) } ?? "-"
    }

    private static func mib(_ value: Double?) -> String { ms(value) }

    private static func errors(_ snapshot: LevelSnapshot) -> String {
        snapshot.errors.isEmpty
            ? "0"
            : snapshot.errors.sorted { $0.key.rawValue < $1.key.rawValue }.map {
                "\($0.key.rawValue) \($0.value)"
            }.joined(separator: ", ")
    }
}
