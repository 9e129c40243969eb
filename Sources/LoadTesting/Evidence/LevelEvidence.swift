// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Everything that a result folder holds of one visit of a level.
package struct LevelEvidence: Sendable {
    package var visit: LevelVisit
    /// Absent when the level was cut by a crash.
    package var result: LevelResult?
    package var records: [LoadRequestRecord]
    package var series: [SeriesBin]
    /// Absent when the server's log could not be read.
    package var log: [AccessLogLine]?
    /// Absent when the server has no metrics.
    package var metrics: MetricsDifference?
    package var figures: LevelFigures?

    package init(visit: LevelVisit, result: LevelResult?, records: [LoadRequestRecord]) {
        self.visit = visit
        self.result = result
        self.records = records
        series = []
        figures = result?.figures
    }

    /// Requests of the load, in settle and hold.
    package var load: [LoadRequestRecord] {
        records.filter { $0.purpose == .load && $0.phase != .prime }
    }

    /// The hold; of a level that was cut, from the first request in it to the last end.
    package var hold: TimeRange? {
        if let held = result?.held { return held }
        let sent = load.filter { $0.phase == .hold }.map(\.times.send)
        guard let start = sent.min(), let end = load.compactMap(\.times.end).max(), end > start
        else { return nil }
        return TimeRange(start: start, end: end)
    }

    /// Whether it is an interrupted level.
    package var isPartial: Bool { !(result?.isComplete ?? false) }
    /// Users of a closed level.
    package var users: Int? {
        switch visit.load.kind {
        case .closed: visit.load.users
        case .single: 1
        default: nil
        }
    }
    /// For tables: `8`, or the level's key.
    package var name: String { users.map(String.init) ?? visit.level }
    /// For findings: the key, with the visit where there is more than one.
    package var key: String { visit.visit > 1 ? "\(visit.level)/r\(visit.visit)" : visit.level }

    /// The level's name in the first column of a table: users, or the value that a sweep varies.
    package func label(in sweep: Manifest.Sweep?) -> String {
        var label: String
        switch sweep {
        case .resolution, .steps, .precision:
            let parts = visit.level.split(separator: "-", maxSplits: 1)
            label = parts.count == 2 ? String(parts[1]) : visit.level
        default: label = name
        }
        if visit.visit > 1 { label += " (visit \(visit.visit))" }
        return isPartial ? label + " (partial)" : label
    }

    /// Reads a visit.
    package init(_ visit: LevelVisit, in folder: LevelFolder) throws {
        self.init(
            visit: visit,
            result: FileManager.default.fileExists(atPath: folder.resultFile.path)
                ? try folder.result() : nil,
            records: try folder.requests())
        series = folder.series()
        log = (try? String(contentsOf: folder.accessLogFile, encoding: .utf8)).map { text in
            text.split(whereSeparator: \.isNewline).compactMap { AccessLogLine($0) }
        }
        if let before = try? String(contentsOf: folder.metricsBeforeFile, encoding: .utf8),
            let after = try? String(contentsOf: folder.metricsAfterFile, encoding: .utf8)
        {
            metrics = MetricsDifference(
                before: MetricsSnapshot(text: before), after: MetricsSnapshot(text: after))
        }
    }
}
