// Part of Inkstone. Licence: see LICENSE.

/// The live test for the end of settling; the statistics cut the rest afterwards.
package enum SteadyProbe {
    /// Whether the latest completions look like those before them.
    ///
    /// Two groups of ten or more, whole rounds of all that is in flight, because users who began
    /// together end together: their mean E2E differs by no more than 5 %, or than chance explains.
    /// In a closed loop the rate follows from that.
    ///
    /// - Parameters:
    ///   - times: E2E in completion order, any unit.
    ///   - inFlight: open requests.
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
