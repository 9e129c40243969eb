// Part of Inkstone. Licence: see LICENSE.

/// Detection of the end of a level's warm-up, and of drift after it.
package enum SteadyState {
    /// The number of initial values that MSER-5 cuts; `nil` when it finds no steady part.
    ///
    /// Over means of 5 values each, the cut d minimises the sum of squares about the mean of the
    /// rest, divided by (n - d)^2. A cut beyond half of the series means that it has not settled.
    ///
    /// - Source: White, Cobb, Spratt, "A comparison of five steady-state truncation heuristics for
    ///   simulation", Winter Simulation Conference 2000, section 2.4.
    package static func mser5(_ values: [Double]) -> Int? {
        let batches = stride(from: 0, to: values.count - values.count % 5, by: 5).map {
            SampleStatistics.mean(Array(values[$0..<($0 + 5)]))
        }
        guard batches.count >= 4 else { return nil }
        var best: (cut: Int, score: Double)?
        var sum = 0.0
        var squares = 0.0
        // The last few batches alone agree by chance, so they are not candidates.
        for cut in stride(from: batches.count - 1, through: 0, by: -1) {
            sum += batches[cut]
            squares += batches[cut] * batches[cut]
            let left = Double(batches.count - cut)
            guard left >= 4 else { continue }
            let score = max(0, squares - sum * sum / left) / (left * left)
            if score <= best?.score ?? .infinity { best = (cut, score) }
        }
        guard let best, 2 * best.cut <= batches.count else { return nil }
        return 5 * best.cut
    }

    /// A least-squares slope.
    package struct Drift: Sendable {
        /// Share of the mean a minute.
        package var perMinute: Double
        /// Standard error, in the same unit.
        package var standardError: Double

        /// Whether the slope exceeds a limit significantly (95 %).
        package func exceeds(_ limit: Double) -> Bool {
            abs(perMinute) - SpecialFunctions.normal95 * standardError > limit
        }
    }

    /// The slope through points of (seconds, value); `nil` for fewer than four.
    package static func drift(_ points: [(Double, Double)]) -> Drift? {
        guard points.count >= 4 else { return nil }
        let time = SampleStatistics.mean(points.map(\.0))
        let value = SampleStatistics.mean(points.map(\.1))
        var product = 0.0
        var square = 0.0
        for point in points {
            product += (point.0 - time) * (point.1 - value)
            square += (point.0 - time) * (point.0 - time)
        }
        guard square > 0, value != 0 else { return nil }
        let slope = product / square
        let residuals = points.map { $0.1 - value - slope * ($0.0 - time) }
        // Correlated neighbours make a slope less certain than n points suggest.
        let freedom = max(1, SampleStatistics.effectiveCount(residuals) - 2)
        let rest = residuals.reduce(0) { $0 + $1 * $1 } / freedom
        return Drift(
            perMinute: 60 * slope / value,
            standardError: 60 * (rest / square).squareRoot() / abs(value))
    }
}
