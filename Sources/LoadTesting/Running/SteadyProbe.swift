// Part of Inkstone. Licence: see LICENSE.

/// The live test for the end of settling; the statistics cut the rest afterwards.
enum SteadyProbe {
    /// Whether the latest completions look like those before them.
    ///
    /// Two groups of `max(5, in flight)` completions: mean E2E within 5 %, rate within 10 %.
    static func isSteady(_ completions: [LevelState.Completion], inFlight: Int) -> Bool {
        let count = max(5, inFlight)
        guard completions.count > 2 * count else { return false }
        let last = completions.suffix(count)
        let before = completions.dropLast(count).suffix(count)
        let start = completions[completions.count - 2 * count - 1].end
        guard let middle = before.last?.end, let end = last.last?.end else { return false }
        func mean(_ group: ArraySlice<LevelState.Completion>) -> Double {
            group.reduce(0) { $0 + Double($1.endToEnd) } / Double(group.count)
        }
        return agree(mean(last), mean(before), within: 0.05)
            && agree(Double(end - middle), Double(middle - start), within: 0.1)
    }

    private static func agree(_ first: Double, _ second: Double, within share: Double) -> Bool {
        abs(first - second) <= share * max(first, second)
    }
}
