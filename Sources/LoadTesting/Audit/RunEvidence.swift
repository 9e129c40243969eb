// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Everything that a result folder holds of one visit of a level.
package struct LevelEvidence: Sendable {
    package var visit: LevelVisit
    /// Absent when the level was cut by a crash.
    package var result: LevelResult?
    package var records: [RequestRecord]
    package var series: [SeriesBin]
    /// Absent when the server's log could not be read.
    package var log: [AccessLogLine]?
    /// Absent when the server has no metrics.
    package var metrics: MetricsDifference?
    package var figures: LevelFigures?

    package init(visit: LevelVisit, result: LevelResult?, records: [RequestRecord]) {
        self.visit = visit
        self.result = result
        self.records = records
        series = []
        figures = result?.figures
    }

    /// Requests of the load, in settle and hold.
    package var load: [RequestRecord] {
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

/// A whole run as its folder holds it.
package struct RunEvidence: Sendable {
    package var manifest: Manifest
    package var levels: [LevelEvidence]
    /// The audit's own requests.
    package var probes: LevelEvidence?
    /// What the report on disk says, if there is one.
    package var headline: Headline?

    package init(manifest: Manifest, levels: [LevelEvidence], probes: LevelEvidence? = nil) {
        self.manifest = manifest
        self.levels = levels
        self.probes = probes
    }

    /// Reads a result folder; a partial one gives what is there.
    ///
    /// - Throws: `ResultError`.
    package init(_ folder: ResultFolder) throws {
        let manifest = try folder.manifest()
        self.init(
            manifest: manifest,
            levels: try folder.presentLevels(manifest).map {
                try LevelEvidence($0, in: folder.level($0))
            })
        let probes = folder.probes
        if FileManager.default.fileExists(atPath: probes.requestsFile.path) {
            self.probes = try LevelEvidence(
                LevelVisit(level: "probes", visit: 1, load: LoadModel(kind: .probes)), in: probes)
        }
        headline = try? RunSummary.read(folder).headline
    }

    /// Computes every level's figures anew from its records.
    package mutating func compute() {
        let target = manifest.target
        let model = target.model.flatMap(WorkModel.named)
        let peak = target.peakOperations.map { $0 * Double(target.devices) }
        for index in levels.indices {
            guard let hold = levels[index].hold else { continue }
            levels[index].figures = LevelFigures(
                records: levels[index].records, hold: hold, objectives: manifest.objectives,
                peakOperations: peak, operations: { request in model?.picture(request) })
        }
    }

    /// Whether anything was cut.
    package var isPartial: Bool {
        manifest.status != .complete || levels.contains { $0.isPartial }
    }

    /// Closed levels with figures, the first visit of each, by users; none in sweeps of other things.
    package var closed: [(users: Int, level: LevelEvidence, figures: LevelFigures)] {
        guard manifest.sweep == nil || manifest.sweep == .concurrency else { return [] }
        var seen: Set<Int> = []
        return levels.compactMap { level in
            guard let users = level.users, let figures = level.figures else { return nil }
            return (users, level, figures)
        }
        .filter { seen.insert($0.users).inserted }
        .sorted { $0.users < $1.users }
    }
}
