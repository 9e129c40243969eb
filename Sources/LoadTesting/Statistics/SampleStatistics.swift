// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Mean, spread and independence of a series of measurements.
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

    /// The correlation of each value with the one before it; 0 where nothing varies.
    package static func lagOneAutocorrelation(_ values: [Double]) -> Double {
        guard values.count > 2 else { return 0 }
        let center = mean(values)
        var products = 0.0
        var squares = 0.0
        for index in values.indices {
            squares += (values[index] - center) * (values[index] - center)
            if index > 0 { products += (values[index] - center) * (values[index - 1] - center) }
        }
        // Values that differ by rounding only have no correlation worth the name.
        guard squares > 1e-18 * Double(values.count) * center * center else { return 0 }
        return products / squares
    }

    /// How many independent values a series is worth: n (1 - r) / (1 + r).
    ///
    /// r is the autocorrelation at lag 1, held within 0 and 0.95. Pictures of one batch are
    /// finished together, so a level's times are rarely independent.
    package static func effectiveCount(_ values: [Double]) -> Double {
        let r = min(max(lagOneAutocorrelation(values), 0), 0.95)
        return Double(values.count) * (1 - r) / (1 + r)
    }

    /// The mean with Student's interval for the effective sample size.
    ///
    /// `values` are in the order in which the requests were completed.
    package static func meanEstimate(_ values: [Double]) -> Estimate {
        guard !values.isEmpty else { return .missing("no samples") }
        let center = mean(values)
        let effective = effectiveCount(values)
        guard effective >= 2 else {
            return Estimate(
                center, n: values.count, effectiveN: effective,
                reason: "no interval: the samples are worth fewer than 2 independent ones")
        }
        let half =
            SpecialFunctions.studentQuantile(0.975, freedom: effective - 1)
            * (variance(values) / effective).squareRoot()
        return Estimate(
            center, low: center - half, high: center + half, n: values.count,
            effectiveN: effective)
    }
}
