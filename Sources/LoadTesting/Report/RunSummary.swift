// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// All figures of a run in one file with a stable layout: `summary.json`.
public struct RunSummary: Codable, Sendable, Equatable {
    /// Version of the layout of this file.
    public static let currentSchemaVersion = 1

    /// A visit of a level.
    public struct Level: Codable, Sendable, Equatable {
        /// The level's key.
        public var level: String
        /// Number of the visit, from 1.
        public var visit: Int
        /// Number of users; closed loops only.
        public var users: Int?
        /// How the level was loaded.
        public var load: LoadModel
        /// Whether the level was interrupted.
        public var isPartial: Bool
        /// Counts of the requests.
        public var accounting: Accounting?
        /// Figures of the requests.
        public var figures: LevelFigures?
        /// Processor time and memory.
        public var resources: ResourceSummary?
        /// What an image costs; absent when it is not known.
        public var cost: LevelCost?
        /// Sentences that a reader of the table should know.
        public var notes: [String]
    }

    /// A level that was visited more than once.
    public struct Repeat: Codable, Sendable, Equatable {
        /// The level's key.
        public var level: String
        /// Number of visits.
        public var visits: Int
        /// Mean throughput of the visits, with Student's interval.
        public var throughput: Estimate
        /// Mean of the visits' mean E2E in ms, with Student's interval.
        public var meanEndToEndMs: Estimate
        /// Coefficient of variation of the visits' throughput.
        public var variation: Double?
        /// Variance of the throughput between visits.
        public var varianceBetween: Double?
        /// Mean variance of the throughput within a visit.
        public var varianceWithin: Double?
        /// Whether the intervals of two visits do not overlap.
        public var isDrifting: Bool
    }

    /// Version of the layout of the file that was read.
    public var schemaVersion = RunSummary.currentSchemaVersion
    /// Name of the run.
    public var run: String
    /// Name of the scenario.
    public var name: String
    /// How far the run got.
    public var status: Manifest.Status
    /// Whether the run or one of its levels is incomplete.
    public var isPartial: Bool
    /// Verdict of the audit.
    public var audit: Verdict
    /// The run in one sentence; absent when no level returned an image.
    ///
    /// It is that of the best level, or the worst finding of an audit that failed.
    public var headline: Headline?
    /// The server.
    public var target: TargetFacts
    /// The load tester.
    public var program: ProgramFacts
    /// Seed of the run.
    public var seed: UInt64
    /// SHA-256 of `scenario.yaml`, hexadecimal.
    public var scenarioDigest: String
    /// SHA-256 of `plan.jsonl`, hexadecimal.
    public var planDigest: String
    /// The visits, in order.
    public var levels: [Level]
    /// The levels that were visited more than once.
    public var repeats: [Repeat]
    /// The saturation point; absent for fewer than three closed levels.
    public var knee: KneeAnalysis?
    /// The highest rate that keeps the objectives; absent unless it was searched.
    public var search: RateSearch?
    /// The objectives of each level.
    public var objectives: [ObjectiveResult]

    /// Collects the figures of a run.
    package init(_ evidence: RunEvidence, audit: AuditReport, knee: KneeAnalysis?) {
        let manifest = evidence.manifest
        run = manifest.run
        name = manifest.name
        status = manifest.status
        isPartial = evidence.isPartial
        self.audit = audit.verdict
        headline =
            audit.worstInWords.map { Headline(failure: $0) }
            ?? Headline(evidence, knee: knee?.knee)
        search = RateSearch(evidence)
        target = manifest.target
        program = manifest.program
        seed = manifest.seed
        scenarioDigest = manifest.scenarioDigest
        planDigest = manifest.planDigest
        self.knee = knee
        levels = evidence.levels.map { level in
            Level(
                level: level.visit.level, visit: level.visit.visit, users: level.users,
                load: level.visit.load, isPartial: level.isPartial,
                accounting: level.result?.accounting, figures: level.figures,
                resources: level.result?.resources, cost: level.cost(manifest),
                notes: (level.result?.notes ?? [])
                    + [level.figures?.unsteady].compactMap(\.self))
        }
        repeats = Self.repeats(evidence)
        objectives = ObjectiveResult.all(evidence)
    }

    /// Reads the summary of a result folder.
    ///
    /// - Throws: `ResultError` when the report was not written yet.
    public static func read(_ folder: ResultFolder) throws -> RunSummary {
        guard let data = try? Data(contentsOf: folder.summaryFile) else {
            throw ResultError("\(folder.url.path) has no summary.json; run imgbench report on it.")
        }
        return try ResultFolder.decode(RunSummary.self, data, folder.summaryFile)
    }

    private static func repeats(_ evidence: RunEvidence) -> [Repeat] {
        let groups = Dictionary(grouping: evidence.levels.filter { $0.figures != nil }) {
            $0.visit.level
        }
        return groups.filter { $0.value.count > 1 }.sorted { $0.key < $1.key }.map { key, visits in
            let rates = visits.compactMap { $0.figures?.throughput }
            let values = rates.compactMap(\.value)
            let within = rates.compactMap { rate -> Double? in
                guard let low = rate.low, let high = rate.high else { return nil }
                let error = (high - low) / 2 / SpecialFunctions.normal95
                return error * error
            }
            let mean = SampleStatistics.mean(values)
            let between = SampleStatistics.variance(values)
            let apart = rates.indices.contains { first in
                rates.indices.contains { second in
                    guard let high = rates[first].high, let low = rates[second].low else {
                        return false
                    }
                    return high < low
                }
            }
            return Repeat(
                level: key, visits: visits.count, throughput: independent(values),
                meanEndToEndMs: independent(
                    visits.compactMap { $0.figures?.endToEnd.mean.value }),
                variation: mean > 0 ? between.squareRoot() / mean : nil,
                varianceBetween: between,
                varianceWithin: within.isEmpty ? nil : SampleStatistics.mean(within),
                isDrifting: apart)
        }
    }

    /// The mean of independent values, with Student's interval.
    private static func independent(_ values: [Double]) -> Estimate {
        let mean = SampleStatistics.mean(values)
        guard values.count > 1 else {
            return Estimate(values.first, n: values.count, reason: "no interval: n < 2")
        }
        let half =
            SpecialFunctions.studentQuantile(0.975, freedom: Double(values.count - 1))
            * (SampleStatistics.variance(values) / Double(values.count)).squareRoot()
        return Estimate(mean, low: mean - half, high: mean + half, n: values.count)
    }
}
