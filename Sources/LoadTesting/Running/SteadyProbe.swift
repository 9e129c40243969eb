// Part of Inkstone. Licence: see LICENSE.

/// The steady-state test while a level runs; the statistics cut the rest of the warm-up later.
package enum SteadyProbe {
    /// Whether the latest completions agree with those before them.
    ///
    /// Compares two groups of ten or more completions, in multiples of the requests in flight, because
    /// users that started together finish together: their mean E2E must not differ by more than 5 %,
    /// or than chance explains. In a closed loop the rate follows from E2E.
    ///
    /// - Parameters:
    ///   - times: E2E in order of completion, any unit.
    ///   - inFlight: number of open requests.
    /// - Returns: whether they agree; false while there are too few.
    package static func isSteady(_ times: [Double], inFlight: Int) -> Bool {
        let round = max(1, inFlight)
        let count = round * max(1, (10 + round - 1) / round)
        guard times.count >= 2 * count else { return false }
        let last = moments(times.suffix(count))
        let before = moments(times.dropLast(count).suffix(count))
        let chance = 2 * ((last.variance + before.variance) / Double(count)).squareRoot()
        return abs(last.mean - before.mean) <= max(0.05 * max(last.mean, before.mean), chance)
    }

    private static func moments(_ times: ArraySlice<Double>) -> (mean: Double, variance: Double) {
        let mean = times.reduce(0, +) / Double(times.count)
        let squares = times.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (mean, squares / Double(max(1, times.count - 1)))
    }
}
