// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// All numbers of a run in one file of a stable layout: `summary.json`.
package struct RunSummary: Codable, Sendable, Equatable {
    package static let currentSchemaVersion = 1

    /// A visit of a level.
    package struct Level: Codable, Sendable, Equatable {
        package var level: String
        package var visit: Int
        package var users: Int?
        package var load: LoadModel
        package var isPartial: Bool
        package var accounting: Accounting?
        package var figures: LevelFigures?
        package var resources: ResourceSummary?
        package var notes: [String]
    }

    /// A level that was visited more than once.
    package struct Repeat: Codable, Sendable, Equatable {
        package var level: String
        package var visits: Int
        /// Over the visits' means, with Student's interval.
        package var throughput: Estimate
        package var meanEndToEndMs: Estimate
        /// Deviation of the visits over their mean.
        package var variation: Double?
        /// Variance between visits, and the mean of those within them.
        package var varianceBetween: Double?
        package var varianceWithin: Double?
        /// Whether two visits' intervals do not meet.
        package var isDrifting: Bool
    }

    package var schemaVersion = RunSummary.currentSchemaVersion
    package var run: String
    package var name: String
    package var status: Manifest.Status
    package var isPartial: Bool
    package var audit: Verdict
    package var headline: Headline?
    package var target: TargetFacts
    package var program: ProgramFacts
    package var seed: UInt64
    package var scenarioDigest: String
    package var planDigest: String
    package var levels: [Level]
    package var repeats: [Repeat]
    package var knee: KneeAnalysis?
    package var objectives: [ObjectiveResult]

    /// Collects them.
    package init(_ evidence: RunEvidence, audit: AuditReport, knee: KneeAnalysis?) {
        let manifest = evidence.manifest
        run = manifest.run
        name = manifest.name
        status = manifest.status
        isPartial = evidence.isPartial
        self.audit = audit.verdict
        headline = Headline(evidence, knee: knee?.knee)
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
                resources: level.result?.resources,
                notes: (level.result?.notes ?? [])
                    + [level.figures?.unsteady].compactMap(\.self))
        }
        repeats = Self.repeats(evidence)
        objectives = ObjectiveResult.all(evidence)
    }

    /// Reads the summary of a folder.
    ///
    /// - Throws: `ResultError` when there is none.
    package static func read(_ folder: ResultFolder) throws -> RunSummary {
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

    /// The mean of visits, which are independent of each other.
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
