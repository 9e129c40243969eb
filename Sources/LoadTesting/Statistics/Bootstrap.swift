// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Bootstrap intervals, reproducible from a seed.
package enum Bootstrap {
    /// Number of resamples of each interval.
    package static let resamples = 1000

    /// The mean of `values` with the percentile interval of resampled means.
    package static func mean(_ values: [Double], seed: UInt64) -> Estimate {
        guard values.count >= 2 else {
            return Estimate(values.first, n: values.count, reason: "no interval: n < 2")
        }
        var generator = SplitMix64(seed: seed)
        let means = (0..<resamples).map { _ in
            var sum = 0.0
            for _ in values.indices {
                sum += values[Int.random(in: values.indices, using: &generator)]
            }
            return sum / Double(values.count)
        }.sorted()
        return interval(SampleStatistics.mean(values), of: means, n: values.count)
    }

    /// The ratio of the means of two series, resampled in blocks that preserve their correlation.
    ///
    /// The length of a block is about the square root of the series' length.
    package static func ratioOfMeans(
        _ numerator: [Double], over denominator: [Double], seed: UInt64
    ) -> Estimate {
        let n = min(numerator.count, denominator.count)
        guard n >= 10 else { return .missing("n=\(n) < 10", n: n) }
        let base = SampleStatistics.mean(denominator)
        guard base > 0 else { return .missing("the mean of the base is not positive", n: n) }
        var generator = SplitMix64(seed: seed)
        let ratios = (0..<resamples).map { _ in
            blockMean(numerator, &generator) / blockMean(denominator, &generator)
        }.filter(\.isFinite).sorted()
        return interval(SampleStatistics.mean(numerator) / base, of: ratios, n: n)
    }

    /// The mean of a resample of a series in blocks, truncated to its length.
    package static func blockMean(_ values: [Double], _ generator: inout SplitMix64) -> Double {
        let block = max(1, Int(Double(values.count).squareRoot()))
        var sum = 0.0
        var taken = 0
        while taken < values.count {
            let start = Int.random(in: 0...(values.count - block), using: &generator)
            for offset in 0..<min(block, values.count - taken) { sum += values[start + offset] }
            taken += block
        }
        return sum / Double(values.count)
    }

    /// The central 95 % of sorted resamples.
    private static func interval(_ value: Double, of sorted: [Double], n: Int) -> Estimate {
        Estimate(
            value, low: Percentile.value(0.025, ofSorted: sorted),
            high: Percentile.value(0.975, ofSorted: sorted), n: n)
    }
}
