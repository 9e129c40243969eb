// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The verdict of a comparison, based on an interval.
public enum ComparisonVerdict: String, Sendable, Codable {
    case faster
    case slower
    case noDifference = "no difference shown"
    /// Too few samples for an interval.
    case unknown = "too few samples"
}

/// A comparison of a new run with a base, level by level.
public struct RunComparison: Sendable, Equatable, Codable {
    /// What is compared.
    public enum Metric: String, Sendable, Codable, CaseIterable {
        case endToEnd = "E2E"
        case firstPreview = "TTFP"
        case throughput = "X"

        /// Whether a greater value is faster.
        var growsWithSpeed: Bool { self == .throughput }
        /// Unit of the metric.
        public var unit: String { self == .throughput ? "img/s" : "ms" }
    }

    /// A metric of a level.
    public struct Row: Sendable, Equatable, Codable {
        /// The level's key.
        public var level: String
        /// The metric.
        public var metric: Metric
        /// The estimate of the base.
        public var base: Estimate
        /// The estimate of the new run.
        public var new: Estimate
        /// New divided by base, with its interval.
        public var ratio: Estimate
        /// How the ratio was computed: `paired`, `blocks` or `intervals`.
        public var method: String
        /// What the ratio shows.
        public var verdict: ComparisonVerdict
    }

    /// Name of the base.
    public var base: String
    /// Name of the new run.
    public var new: String
    /// Whether both have the same plan.
    public var isPaired: Bool
    /// The smallest relevant change, as a share.
    public var practical: Double
    /// The rows: each metric of each level.
    public var rows: [Row]
    /// Levels of only one of the runs.
    public var unmatched: [String]

    /// Compares runs whose figures are computed (``RunEvidence/compute()``).
    public init(base: RunEvidence, new: RunEvidence, practical: Double = 0.02) {
        self.base = base.manifest.run
        self.new = new.manifest.run
        self.practical = practical
        isPaired = base.manifest.planDigest == new.manifest.planDigest
        let paired = isPaired
        let partners = Dictionary(
            new.levels.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        let keys = Set(base.levels.map(\.key))
        unmatched =
            base.levels.map(\.key).filter { partners[$0] == nil }
            + new.levels.map(\.key).filter { !keys.contains($0) }
        rows = base.levels.flatMap { level -> [Row] in
            guard let partner = partners[level.key] else { return [] }
            return Metric.allCases.compactMap {
                Self.row($0, level, partner, paired: paired, practical: practical)
            }
        }
    }

    /// The verdict for a ratio: faster and slower require an interval without 1 and a relevant change.
    static func verdict(
        _ ratio: Estimate, growsWithSpeed: Bool, practical: Double
    ) -> ComparisonVerdict {
        guard let value = ratio.value, let low = ratio.low, let high = ratio.high else {
            return .unknown
        }
        if low > 1, value > 1 + practical { return growsWithSpeed ? .faster : .slower }
        if high < 1, value < 1 - practical { return growsWithSpeed ? .slower : .faster }
        return .noDifference
    }

    private static func row(
        _ metric: Metric, _ base: LevelEvidence, _ new: LevelEvidence, paired: Bool,
        practical: Double
    ) -> Row? {
        guard let before = base.figures, let after = new.figures else { return nil }
        let ratio: Estimate
        let estimates: (Estimate, Estimate)
        var method = "blocks"
        switch metric {
        case .throughput:
            estimates = (before.throughput, after.throughput)
            ratio = rateRatio(after.throughput, over: before.throughput)
            method = "intervals"
        case .endToEnd, .firstPreview:
            let isTotal = metric == .endToEnd
            estimates =
                isTotal
                ? (before.endToEnd.mean, after.endToEnd.mean)
                : (before.firstPreview.mean, after.firstPreview.mean)
            let times = { (level: LevelEvidence, window: TimeRange) in
                level.load.filter { $0.isValid && window.contains($0.times.send) }.compactMap {
                    record in
                    (isTotal ? record.endToEndMs : record.firstPreviewMs).map { (record, $0) }
                }
            }
            let (first, second) = (times(base, before.window), times(new, after.window))
            guard !first.isEmpty, !second.isEmpty else { return nil }
            let pairs = paired ? logRatios(first, second) : []
            if pairs.count >= 10 {
                method = "paired"
                ratio = geometric(pairs)
            } else {
                ratio = Bootstrap.ratioOfMeans(second.map(\.1), over: first.map(\.1), seed: 1)
            }
        }
        return Row(
            level: base.key, metric: metric, base: estimates.0, new: estimates.1, ratio: ratio,
            method: method,
            verdict: verdict(ratio, growsWithSpeed: metric.growsWithSpeed, practical: practical))
    }

    /// The logarithms of new over base for requests at the same position of the plan, in its order.
    private static func logRatios(
        _ base: [(LoadRequestRecord, Double)], _ new: [(LoadRequestRecord, Double)]
    ) -> [Double] {
        let times = Dictionary(
            new.map { ($0.0.sequence, $0) }, uniquingKeysWith: { first, _ in first })
        return base.sorted { $0.0.sequence < $1.0.sequence }.compactMap { record, time in
            guard let other = times[record.sequence], other.0.parameters == record.parameters,
                time > 0, other.1 > 0
            else { return nil }
            return log(other.1 / time)
        }
    }

    /// The geometric mean of ratios, resampled in blocks because neighbours shared a queue.
    private static func geometric(_ logs: [Double]) -> Estimate {
        var generator = SplitMix64(seed: 1)
        let means = (0..<Bootstrap.resamples).map { _ in
            Bootstrap.blockMean(logs, &generator)
        }.sorted()
        return Estimate(
            exp(SampleStatistics.mean(logs)),
            low: Percentile.value(0.025, ofSorted: means).map { exp($0) },
            high: Percentile.value(0.975, ofSorted: means).map { exp($0) }, n: logs.count)
    }

    /// The ratio of two rates from their intervals, by the delta method on logarithms.
    private static func rateRatio(_ new: Estimate, over base: Estimate) -> Estimate {
        guard let a = new.value, let b = base.value, a > 0, b > 0 else {
            return .missing("a rate of 0", n: min(new.n, base.n))
        }
        func relative(_ estimate: Estimate, _ value: Double) -> Double? {
            guard let low = estimate.low, let high = estimate.high else { return nil }
            return (high - low) / 2 / value
        }
        guard let first = relative(new, a), let second = relative(base, b) else {
            return Estimate(a / b, n: min(new.n, base.n), reason: "no interval of a rate")
        }
        let half = (first * first + second * second).squareRoot()
        return Estimate(
            a / b, low: a / b * exp(-half), high: a / b * exp(half), n: min(new.n, base.n))
    }
}
