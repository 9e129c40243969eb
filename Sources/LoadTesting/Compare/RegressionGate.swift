// Part of Inkstone. Licence: see LICENSE.

/// Decides whether a new run is worse than a base, with a bound on the chance of a false alarm.
///
/// Each metric of each level is one test: E2E, time to the first preview, throughput and the share of failed
/// requests. A test raises an alarm if its p-value is below ``limit`` and the change exceeds the practical limit.
/// Since ``limit`` is the chance divided by the number of tests (Bonferroni), two runs of the same server raise
/// any alarm with at most the chance, however many levels there are. `GateTests` counts the alarms of 200 pairs.
///
/// A level that both runs visited three times or more is judged by the means of its visits, which contain the
/// variation from visit to visit. Otherwise the samples of each visit are judged by the means of ten batches and
/// by their effective number, of which the larger p-value counts.
public struct RegressionGate: Sendable, Equatable, Codable {
    /// What is tested.
    public enum Metric: String, Sendable, Codable, CaseIterable {
        case endToEnd = "E2E"
        case firstPreview = "TTFP"
        case throughput = "X"
        case errors

        /// Unit of the values.
        public var unit: String {
            switch self {
            case .endToEnd, .firstPreview: "ms"
            case .throughput: "img/s"
            case .errors: "share"
            }
        }
    }

    /// A test.
    public struct Row: Sendable, Equatable, Codable {
        /// The level's key, or its name for one that is judged by its visits.
        public var level: String
        /// What is tested.
        public var metric: Metric
        /// Value of the base.
        public var base: Double
        /// Value of the new run.
        public var new: Double
        /// The p-value of "the new run is worse"; absent when there are too few samples.
        public var probability: Double?
        /// Whether the test raises an alarm.
        public var isWorse = false

        /// The change for the worse as a share of the base; for errors, the difference of the shares.
        public var change: Double {
            switch metric {
            case .errors: return new - base
            case .throughput: return base > 0 ? 1 - new / base : 0
            default: return base > 0 ? new / base - 1 : 0
            }
        }
    }

    /// Name of the base.
    public var base: String
    /// Name of the new run.
    public var new: String
    /// The greatest chance that two runs of the same server raise an alarm.
    public var chance: Double
    /// The smallest relevant change, as a share.
    public var practical: Double
    /// The p-value below which a test raises an alarm.
    public var limit: Double
    /// The tests.
    public var rows: [Row]
    /// Levels of the base that the new run does not have, or in which it has no valid image.
    public var missing: [String]

    /// Whether the new run is not shown to be worse.
    public var hasPassed: Bool { missing.isEmpty && !rows.contains { $0.isWorse } }
    /// Number of tests with enough samples.
    public var tests: Int { rows.count { $0.probability != nil } }

    /// Compares runs whose figures are computed (``RunEvidence/compute()``).
    public init(
        base: RunEvidence, new: RunEvidence, chance: Double = 0.01, practical: Double = 0.02
    ) {
        self.base = base.manifest.run
        self.new = new.manifest.run
        self.chance = chance
        self.practical = practical
        let first = GateSample.all(base)
        let second = GateSample.all(new)
        let byVisits = Set(
            Set(first.map(\.name)).filter { name in
                first.count { $0.name == name } >= 3 && second.count { $0.name == name } >= 3
            })
        var rows: [Row] = []
        var missing: [String] = []
        for name in byVisits.sorted() {
            rows += Self.rows(
                name, first.filter { $0.name == name }, second.filter { $0.name == name })
        }
        for sample in first where !byVisits.contains(sample.name) {
            guard let other = second.first(where: { $0.key == sample.key }), !other.times.isEmpty
            else {
                missing.append(sample.key)
                continue
            }
            rows += Self.rows(sample.key, [sample], [other])
        }
        let tests = rows.count { $0.probability != nil }
        let limit = chance / Double(max(1, tests))
        for index in rows.indices {
            let row = rows[index]
            let isRelevant = row.metric == .errors || row.change > practical
            rows[index].isWorse = isRelevant && (row.probability.map { $0 < limit } ?? false)
        }
        self.limit = limit
        self.rows = rows
        self.missing = missing
    }

    /// The tests of a level.
    private static func rows(
        _ level: String, _ base: [GateSample], _ new: [GateSample]
    ) -> [Row] {
        Metric.allCases.compactMap { metric in
            guard metric != .errors else { return errors(level, base, new) }
            let before = base.map { $0.mean(of: metric) }
            let after = new.map { $0.mean(of: metric) }
            guard before.allSatisfy({ $0 > 0 }), after.allSatisfy({ $0 > 0 }) else { return nil }
            var row = Row(
                level: level, metric: metric, base: SampleStatistics.mean(before),
                new: SampleStatistics.mean(after))
            if base.count > 1 {
                row.probability = probability(
                    metric, WelchTest.Mean(independent: before), WelchTest.Mean(independent: after))
            } else if let first = base.first, let second = new.first {
                let means = zip(first.means(of: metric), second.means(of: metric))
                let values = means.compactMap { probability(metric, $0, $1) }
                row.probability = values.max()
            }
            return row
        }
    }

    /// The p-value of "worse": longer times, a lower rate.
    private static func probability(
        _ metric: Metric, _ base: WelchTest.Mean?, _ new: WelchTest.Mean?
    ) -> Double? {
        guard let base, let new else { return nil }
        return metric == .throughput
            ? WelchTest.probability(new, below: base) : WelchTest.probability(base, below: new)
    }

    /// Fisher's exact test of the share of failed requests.
    private static func errors(_ level: String, _ base: [GateSample], _ new: [GateSample]) -> Row? {
        let before = (
            failed: base.reduce(0) { $0 + $1.failed }, all: base.reduce(0) { $0 + $1.started }
        )
        let after = (
            failed: new.reduce(0) { $0 + $1.failed }, all: new.reduce(0) { $0 + $1.started }
        )
        guard before.all > 0, after.all > 0 else { return nil }
        var row = Row(
            level: level, metric: .errors, base: Double(before.failed) / Double(before.all),
            new: Double(after.failed) / Double(after.all))
        row.probability = SpecialFunctions.hypergeometricTail(
            after.failed, drawn: after.all, marked: before.failed + after.failed,
            total: before.all + after.all)
        return row
    }
}
