// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Everything that a result folder contains about one visit of a level.
public struct LevelEvidence: Sendable {
    /// The level and the number of the visit.
    public var visit: LevelVisit
    /// Absent when the program was killed during the level.
    public var result: LevelResult?
    /// All requests, those of priming included.
    public var records: [LoadRequestRecord]
    /// The seconds of the level.
    public var series: [SeriesBin]
    /// The server's log; absent when it could not be read.
    package var log: [AccessLogLine]?
    /// The server's metrics; absent when it has none.
    package var metrics: MetricsDifference?
    /// The figures: those stored, or computed by ``RunEvidence/compute()``.
    public var figures: LevelFigures?

    package init(visit: LevelVisit, result: LevelResult?, records: [LoadRequestRecord]) {
        self.visit = visit
        self.result = result
        self.records = records
        series = []
        figures = result?.figures
    }

    /// The requests of the load, of settle and hold.
    public var load: [LoadRequestRecord] {
        records.filter { $0.purpose == .load && $0.phase != .prime }
    }

    /// The hold; for an incomplete level, from its first request to the last end.
    public var hold: TimeRange? {
        if let held = result?.held { return held }
        let sent = load.filter { $0.phase == .hold }.map(\.times.send)
        guard let start = sent.min(), let end = load.compactMap(\.times.end).max(), end > start
        else { return nil }
        return TimeRange(start: start, end: end)
    }

    /// Whether the level was interrupted.
    public var isPartial: Bool { !(result?.isComplete ?? false) }
    /// Users of a closed level.
    public var users: Int? {
        switch visit.load.kind {
        case .closed: visit.load.users
        case .single: 1
        default: nil
        }
    }
    /// Name in tables: the number of users, or the level's key.
    package var name: String { users.map(String.init) ?? visit.level }
    /// Key in findings: the level, with the number of the visit from the second on.
    public var key: String { visit.visit > 1 ? "\(visit.level)/r\(visit.visit)" : visit.level }

    /// Name in the first column of a table: users, or the value that a sweep varies.
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

    /// Reads a visit from its folder.
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
