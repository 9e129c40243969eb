// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The rate of valid images over a steady window, with the wider of two intervals.
package enum Throughput {
    /// Estimates the rate of events at `times` within `window`, all in seconds.
    ///
    /// Two intervals are computed: from batch means (10 to 20 equal slices of at least 5 events,
    /// Student's interval over their rates), and from the gaps between events. The wider is given.
    package static func estimate(
        completions times: [Double], from start: Double, to end: Double
    ) -> Estimate {
        let inside = times.filter { $0 >= start && $0 < end }.sorted()
        let length = end - start
        guard length > 0 else { return .missing("the window is empty") }
        let rate = Double(inside.count) / length
        let halves = [
            batchMeans(inside, from: start, length: length), spacing(inside, rate: rate),
        ].compactMap(\.self)
        guard let half = halves.max() else {
            return Estimate(
                rate, n: inside.count,
                reason: "no interval: \(inside.count) images, expected at least 20")
        }
        return Estimate(rate, low: max(0, rate - half), high: rate + half, n: inside.count)
    }

    /// Half the width of the interval from batch means; `nil` for fewer than 50 events.
    private static func batchMeans(_ times: [Double], from start: Double, length: Double) -> Double?
    {
        let slices = min(20, times.count / 5)
        guard slices >= 10 else { return nil }
        var counts = [Double](repeating: 0, count: slices)
        for time in times {
            counts[min(slices - 1, Int((time - start) / length * Double(slices)))] += 1
        }
        let rates = counts.map { $0 * Double(slices) / length }
        return SpecialFunctions.studentQuantile(0.975, freedom: Double(slices - 1))
            * (SampleStatistics.variance(rates) / Double(slices)).squareRoot()
    }

    /// Half the width of the interval from the gaps between events; `nil` for fewer than 20.
    private static func spacing(_ times: [Double], rate: Double) -> Double? {
        guard times.count >= 20 else { return nil }
        let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
        let mean = SampleStatistics.mean(gaps)
        let effective = SampleStatistics.effectiveCount(gaps)
        guard mean > 0, effective >= 2 else { return nil }
        let relative = (SampleStatistics.variance(gaps) / effective).squareRoot() / mean
        return rate * relative * SpecialFunctions.studentQuantile(0.975, freedom: effective - 1)
    }
}
