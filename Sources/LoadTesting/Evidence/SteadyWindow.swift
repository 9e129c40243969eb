// Part of Inkstone. Licence: see LICENSE.

/// The part of a hold that is counted, and what speaks against calling it steady.
package struct SteadyWindow: Sendable {
    /// From the cut to the end of the hold.
    package let range: TimeRange
    package let cutShare: Double
    /// Why it is not steady.
    package let unsteady: String?
    /// Share of the mean a minute.
    package let throughputDrift: Double?
    package let endToEndDrift: Double?

    /// The most that throughput and E2E may drift, as a share of the mean a minute.
    package static let driftLimit = 0.02

    /// Looks at the valid requests of a level, in completion order.
    package init(completed: [LoadRequestRecord], hold: TimeRange) {
        let held = completed.filter { $0.times.end.map(hold.contains) ?? false }
        let times = held.compactMap(\.endToEndMs)
        let cut = SteadyState.mser5(times)
        var start = hold.start
        if let cut, cut > 0, let end = held[cut - 1].times.end { start = end }
        range = TimeRange(start: start, end: hold.end)
        cutShare = hold.seconds > 0 ? 1 - range.seconds / hold.seconds : 0

        let counted = held.dropFirst(cut ?? 0)
        let trend = SteadyState.drift(
            counted.compactMap { record in
                guard let end = record.times.end, let time = record.endToEndMs else { return nil }
                return (Double(end - start) / 1e9, time)
            })
        let rates = SteadyState.drift(
            Self.bins(counted.compactMap(\.times.end), in: TimeRange(start: start, end: hold.end)))
        throughputDrift = rates?.perMinute
        endToEndDrift = trend?.perMinute

        if times.count >= 20, cut == nil {
            unsteady = "E2E did not settle within the first half of the hold"
        } else if let rates, rates.exceeds(Self.driftLimit) {
            unsteady = Self.sentence("throughput", rates)
        } else if let trend, trend.exceeds(Self.driftLimit) {
            unsteady = Self.sentence("E2E", trend)
        } else {
            unsteady = nil
        }
    }

    private static func sentence(_ what: String, _ drift: SteadyState.Drift) -> String {
        "\(what) drifts by \(Figures.decimals(100 * drift.perMinute, 1)) % a minute, more than "
            + "\(Figures.decimals(100 * driftLimit, 0)) %"
    }

    /// Completions a second in bins of 5 seconds; a rest is left out.
    private static func bins(_ ends: [Int64], in range: TimeRange) -> [(Double, Double)] {
        let count = Int(range.seconds / 5)
        var counts = [Double](repeating: 0, count: count)
        for end in ends {
            let bin = Int(Double(end - range.start) / 5e9)
            if counts.indices.contains(bin) { counts[bin] += 0.2 }
        }
        return counts.enumerated().map { (5 * Double($0.offset) + 2.5, $0.element) }
    }
}
