// Part of Inkstone. Licence: see LICENSE.

/// Welch's one-sided test of two means whose uncertainties differ.
///
/// - Source: Welch, "The generalization of Student's problem", Biometrika 34, 1947.
package enum WelchTest {
    /// A mean with its uncertainty.
    package struct Mean: Sendable {
        package var value: Double
        /// Variance of the mean.
        package var variance: Double
        /// Degrees of freedom of the variance.
        package var freedom: Double

        package init(value: Double, variance: Double, freedom: Double) {
            self.value = value
            self.variance = variance
            self.freedom = freedom
        }

        /// The mean of independent values; `nil` for fewer than two.
        package init?(independent values: [Double]) {
            guard values.count > 1 else { return nil }
            let count = Double(values.count)
            self.init(
                value: SampleStatistics.mean(values),
                variance: SampleStatistics.variance(values) / count, freedom: count - 1)
        }
    }

    /// The p-value of the hypothesis that the mean `first` is below `second`.
    package static func probability(_ first: Mean, below second: Mean) -> Double {
        let sum = first.variance + second.variance
        let difference = first.value - second.value
        guard sum > 0 else { return difference < 0 ? 0 : difference > 0 ? 1 : 0.5 }
        let parts =
            first.variance * first.variance / first.freedom
            + second.variance * second.variance / second.freedom
        return SpecialFunctions.studentCDF(
            difference / sum.squareRoot(), freedom: sum * sum / parts)
    }
}
