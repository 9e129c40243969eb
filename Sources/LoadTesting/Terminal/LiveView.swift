// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// Shows the progress of a run.
///
/// Redraws the state on a terminal; otherwise prints a line every 10 seconds. It reads snapshots, so
/// that no request waits for it.
public final class LiveView: RunObserver {
    private struct State {
        var visit: LevelVisit?
        var watch: LevelWatch?
        var drawn = 0
    }

    private let isTerminal: Bool
    private let state = Mutex(State())
    private let write: @Sendable (String) -> Void

    /// Creates a view.
    ///
    /// - Parameters:
    ///   - isTerminal: whether to redraw.
    ///   - write: prints text.
    public init(isTerminal: Bool, write: @escaping @Sendable (String) -> Void) {
        self.isTerminal = isTerminal
        self.write = write
    }

    /// A view on standard output: redraws on a terminal, unless `NO_COLOR` or `CI` is set.
    public static func standard() -> LiveView {
        let environment = ProcessInfo.processInfo.environment
        let isTerminal =
            isatty(STDOUT_FILENO) == 1 && environment["NO_COLOR"] == nil
            && environment["CI"] == nil && environment["TERM"] != "dumb"
        return LiveView(isTerminal: isTerminal) { text in
            FileHandle.standardOutput.write(Data(text.utf8))
        }
    }

    /// Prints that the level starts.
    public func levelDidStart(_ visit: LevelVisit) {
        state.withLock { state in
            state.visit = visit
            state.watch = nil
            state.drawn = 0
        }
        if !isTerminal { write("\(visit.level) r\(visit.visit): starts\n") }
    }

    /// Shows the level from now on.
    public func phaseDidStart(_ watch: LevelWatch) { state.withLock { $0.watch = watch } }

    /// Prints the counts of the level.
    public func levelDidEnd(_ visit: LevelVisit, _ result: LevelResult) {
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
                + (account.inFlightAtCut > 0 ? ", \(account.inFlightAtCut) cancelled" : "")
                + (result.hold.held > 0 ? String(format: ", held %.1f s", result.hold.held) : "")
                + (result.resources.testerCores.map {
                    String(format: ", tester %.3f cores", $0)
                } ?? "") + "\n")
    }

    /// Updates the view until the task is cancelled.
    public func run() async {
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

    /// The escape sequence that erases the lines drawn before.
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

    /// The lines for a terminal.
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
