// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Percentiles of raw samples, given only when the sample is large enough.
package enum Percentile {
    /// Number of samples that must lie beyond a percentile before it is given.
    package static let samplesBeyond = 5.0

    /// The smallest sample size for the percentile `p`, such as 100 for 0.95.
    package static func minimumCount(_ p: Double) -> Int {
        // 5 / 0.05 is a hair above 100 in binary.
        Int((samplesBeyond / (1 - p) - 1e-6).rounded(.up))
    }

    /// The nearest-rank percentile of sorted values.
    package static func value(_ p: Double, ofSorted sorted: [Double]) -> Double? {
        guard !sorted.isEmpty else { return nil }
        return sorted[rank(p, count: sorted.count)]
    }

    /// The percentile `p`, from 0 to 1, with its interval from order statistics.
    ///
    /// `values` are in order of completion. The ranks follow from the binomial distribution of the
    /// effective sample size: exactly up to 1000 samples, by the normal approximation above.
    package static func estimate(_ p: Double, of values: [Double]) -> Estimate {
        let count = values.count
        let needed = minimumCount(p)
        guard count >= needed else {
            return .missing("n=\(count) < \(needed)", n: count)
        }
        let sorted = values.sorted()
        let effective = max(1, SampleStatistics.effectiveCount(values))
        let (low, high) = rankBounds(p, effectiveCount: effective)
        let value = sorted[rank(p, count: count)]
        guard let low, let high else {
            return Estimate(
                value, n: count, effectiveN: effective,
                reason: "no interval: \(count) samples are worth \(Int(effective)) independent ones"
            )
        }
        return Estimate(
            value, low: sorted[rank(low, count: count)], high: sorted[rank(high, count: count)],
            n: count, effectiveN: effective)
    }

    /// The index of the nearest rank.
    private static func rank(_ p: Double, count: Int) -> Int {
        min(max(Int((p * Double(count) - 1e-9).rounded(.up)) - 1, 0), count - 1)
    }

    /// Two shares of the sample that enclose the percentile with 95 % confidence; `nil` when not
    /// even the smallest or largest sample does.
    private static func rankBounds(
        _ p: Double, effectiveCount: Double
    ) -> (low: Double?, high: Double?) {
        let n = Int(effectiveCount)
        if n > 1000 {
            let half = SpecialFunctions.normal95 * (p * (1 - p) / effectiveCount).squareRoot()
            return (max(p - half, 1 / effectiveCount), min(p + half, 1))
        }
        // P(j-th smallest > quantile) = P(at most j - 1 below it), each tail 2.5 % at most.
        let below = { (j: Int) in
            SpecialFunctions.binomialCDF(j - 1, trials: n, probability: p)
        }
        let ranks = Array(1...max(n, 1))
        // Both conditions change once as j grows.
        let firstAbove = ranks.partitionPoint { below($0) > 0.025 }
        let low = firstAbove > 0 ? ranks[firstAbove - 1] : nil
        let firstSafe = ranks.partitionPoint { 1 - below($0) <= 0.025 }
        let high = firstSafe < ranks.count ? ranks[firstSafe] : nil
        let share = { (rank: Int) in Double(rank) / Double(n) }
        return (low.map(share), high.map(share))
    }
}

extension [Int] {
    /// The first index at which a monotonic condition holds; `count` when it never does.
    fileprivate func partitionPoint(_ holds: (Int) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
