// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Mean, variance and autocorrelation of a series of measurements.
package enum SampleStatistics {
    /// The arithmetic mean, 0 for no values.
    package static func mean(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
    }

    /// The variance with the divisor n - 1, 0 for fewer than two values.
    package static func variance(_ values: [Double]) -> Double {
        guard values.count > 1 else { return 0 }
        let center = mean(values)
        let squares = values.reduce(0) { $0 + ($1 - center) * ($1 - center) }
        return squares / Double(values.count - 1)
    }

    /// The autocorrelation at lag 1; 0 for a constant series.
    package static func lagOneAutocorrelation(_ values: [Double]) -> Double {
        guard values.count > 2 else { return 0 }
        let center = mean(values)
        var products = 0.0
        var squares = 0.0
        for index in values.indices {
            squares += (values[index] - center) * (values[index] - center)
            if index > 0 { products += (values[index] - center) * (values[index - 1] - center) }
        }
        // Values that differ only by rounding have no meaningful correlation.
        guard squares > 1e-18 * Double(values.count) * center * center else { return 0 }
        return products / squares
    }

    /// The effective sample size of a correlated series.
    ///
    /// The minimum of two estimates. n (1 - r) / (1 + r), with r the autocorrelation at lag 1 clamped
    /// to 0...0.95, accounts for images of one batch, which complete together. It misses a queue:
    /// there each time is a long shared wait plus a short service time, whose variance hides the wait
    /// at lag 1. So the autocorrelations are also summed over all lags while their pairs are positive.
    ///
    /// - Source: Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7(4), 1992, section
    ///   3.3, the initial monotone sequence; coverage is checked by `SimulationTests`.
    package static func effectiveCount(_ values: [Double]) -> Double {
        let r = min(max(lagOneAutocorrelation(values), 0), 0.95)
        let byLagOne = Double(values.count) * (1 - r) / (1 + r)
        return min(byLagOne, Double(values.count) / correlationTime(values))
    }

    /// The integrated autocorrelation time, at least 1.
    private static func correlationTime(_ values: [Double]) -> Double {
        let count = values.count
        guard count > 3 else { return 1 }
        let center = mean(values)
        let offsets = values.map { $0 - center }
        let square = offsets.reduce(0) { $0 + $1 * $1 }
        guard square > 1e-18 * Double(count) * center * center else { return 1 }
        func product(_ lag: Int) -> Double {
            var sum = 0.0
            for index in lag..<count { sum += offsets[index] * offsets[index - lag] }
            return sum / square
        }
        var total = 0.0
        var last = Double.infinity
        for lag in stride(from: 0, to: min(count - 2, count / 2), by: 2) {
            let pair = min(product(lag) + product(lag + 1), last)
            guard pair > 0 else { break }
            total += pair
            last = pair
        }
        return max(1, 2 * total - 1)
    }

    /// The mean with Student's interval for the effective sample size, or for the means of ten
    /// batches if that is wider.
    ///
    /// `values` are in order of completion.
    package static func meanEstimate(_ values: [Double]) -> Estimate {
        guard !values.isEmpty else { return .missing("no samples") }
        let center = mean(values)
        let effective = effectiveCount(values)
        guard effective >= 2 else {
            return Estimate(
                center, n: values.count, effectiveN: effective,
                reason: "no interval: the samples are worth fewer than 2 independent ones")
        }
        var half =
            SpecialFunctions.studentQuantile(0.975, freedom: effective - 1)
            * (variance(values) / effective).squareRoot()
        if values.count >= 50 {
            let length = values.count / 10
            let batches = (0..<10).map { mean(Array(values[($0 * length)..<(($0 + 1) * length)])) }
            half = max(
                half,
                SpecialFunctions.studentQuantile(0.975, freedom: 9)
                    * (variance(batches) / 10).squareRoot())
        }
        return Estimate(
            center, low: center - half, high: center + half, n: values.count,
            effectiveN: effective)
    }
}
