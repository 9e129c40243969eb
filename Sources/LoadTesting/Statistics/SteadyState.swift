// Part of Inkstone. Licence: see LICENSE.

/// Where a level's start-up ends, and whether it drifts afterwards.
package enum SteadyState {
    /// How many of the first values MSER-5 cuts; `nil` where it finds no steady part.
    ///
    /// Means of 5 values each; the cut d minimises the sum of squares about the mean of what is
    /// left, divided by (n - d)^2. A cut beyond half of the series means that it has not settled.
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
        // The last few batches alone agree by chance, so they are no candidates.
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

    /// The least-squares slope as a share of the mean a minute, from points of (seconds, value).
    package static func driftPerMinute(_ points: [(time: Double, value: Double)]) -> Double? {
        guard points.count >= 3 else { return nil }
        let time = SampleStatistics.mean(points.map(\.time))
        let value = SampleStatistics.mean(points.map(\.value))
        var product = 0.0
        var square = 0.0
        for point in points {
            product += (point.time - time) * (point.value - value)
            square += (point.time - time) * (point.time - time)
        }
        guard square > 0, value != 0 else { return nil }
        return product / square * 60 / value
    }
}
