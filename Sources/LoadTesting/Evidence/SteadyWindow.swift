// Part of Inkstone. Licence: see LICENSE.

/// The steady part of a hold, or why the hold was not steady.
package struct SteadyWindow: Sendable {
    /// From the cut to the end of the hold.
    package let range: TimeRange
    /// Share of the hold before the cut.
    package let cutShare: Double
    /// Why the hold was not steady.
    package let unsteady: String?
    /// Slope of the throughput, share of the mean a minute.
    package let throughputDrift: Double?
    /// Slope of E2E, share of the mean a minute.
    package let endToEndDrift: Double?

    /// Maximum drift of throughput and E2E, share of the mean a minute.
    package static let driftLimit = 0.02

    /// Analyses the valid requests of a level, in order of completion.
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

    /// Completions a second in bins of 5 seconds; an incomplete last bin is left out.
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
