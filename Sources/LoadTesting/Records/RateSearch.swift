// Part of Inkstone. Licence: see LICENSE.

/// Searches the highest rate of arrivals that keeps the objectives of a scenario.
///
/// A closed loop measures the throughput of a busy server; open loops around it then halve the interval
/// between the highest rate that kept the objectives and the lowest that did not.
public struct RateSearch: Sendable, Equatable, Codable {
    /// An open level of the search.
    public struct Trial: Sendable, Equatable, Codable {
        /// Requests a second.
        public var rate: Double
        /// Whether the level kept every objective.
        public var isKept: Bool

        package init(rate: Double, isKept: Bool) {
            self.rate = rate
            self.isKept = isKept
        }
    }

    /// A level of the search, as it was measured.
    package struct Level {
        package var load: LoadModel
        /// The time range of the hold.
        package var hold: TimeRange?
        /// Arrivals that were not sent.
        package var dropped: Int
        /// The requests of the load.
        package var records: [LoadRequestRecord]

        package init(
            load: LoadModel, hold: TimeRange?, dropped: Int, records: [LoadRequestRecord]
        ) {
            self.load = load
            self.hold = hold
            self.dropped = dropped
            self.records = records.filter { $0.purpose == .load && $0.phase != .prime }
        }
    }

    /// The search ends when the interval is at most this share of its upper end.
    public static let tolerance = 0.04
    /// The smallest number of requests by which a level is judged.
    static let requests = 20

    /// Images a second of the closed loop.
    public var pilot: Double
    /// The open levels, in order.
    public var trials: [Trial] = []

    package init(pilot: Double) { self.pilot = pilot }

    /// The lowest rate that did not keep the objectives; `nil` if all did.
    public var failed: Double? { trials.filter { !$0.isKept }.map(\.rate).min() }

    /// The highest rate that kept the objectives, below all that did not; `nil` if none did.
    public var kept: Double? {
        let limit = failed ?? .infinity
        return trials.filter { $0.isKept && $0.rate < limit }.map(\.rate).max()
    }

    /// The rate of the next level; `nil` when the search has ended.
    package var next: Double? {
        guard let failed else {
            // Upwards in growing steps: 8, 16 and 32 %.
            let step = 0.08 * Double(1 << min(max(trials.count - 1, 0), 4))
            return kept.map { (1 + step) * $0 } ?? 0.95 * pilot
        }
        guard let kept else { return 0.6 * failed }
        return (failed - kept) / failed > Self.tolerance ? (kept + failed) / 2 : nil
    }

    /// Reads the levels of a search that were measured so far: the closed loop, then the open ones.
    ///
    /// - Returns: `nil` if the closed loop returned no image.
    package init?(_ levels: [Level], objectives: ServiceObjectives) {
        guard let first = levels.first(where: { $0.load.kind == .closed }),
            let hold = first.hold, hold.seconds > 0
        else { return nil }
        let done = first.records.count { $0.isValid && hold.contains($0.times.end ?? .max) }
        guard done > 0 else { return nil }
        self.init(pilot: Double(done) / hold.seconds)
        for level in levels where level.load.kind == .open {
            guard let rate = level.load.rate else { continue }
            trials.append(Trial(rate: rate, isKept: Self.keeps(level, objectives)))
        }
    }

    /// Whether a level kept every objective.
    ///
    /// Times are those from the planned arrival. Requests that failed or were dropped keep none.
    static func keeps(_ level: Level, _ objectives: ServiceObjectives) -> Bool {
        guard let hold = level.hold else { return false }
        let planned = level.records.filter { hold.contains($0.times.planned) }
        let count = Double(planned.count + level.dropped)
        guard planned.count >= requests else { return false }
        func share(_ limit: Double?, _ time: (LoadRequestRecord) -> Int64?) -> Double {
            guard let limit else { return 1 }
            let kept = planned.count { record in
                guard record.isValid, let end = time(record) else { return false }
                return Double(end - record.times.planned) / 1e9 <= limit
            }
            return Double(kept) / count
        }
        let failed = Double(planned.count { !$0.isValid })
        return share(objectives.endToEndP95) { $0.times.end } >= 0.95
            && share(objectives.firstPreviewP95) { $0.times.previews.first } >= 0.95
            && failed / count <= objectives.errors ?? 1
    }

    /// The result in words.
    public var text: String {
        let rate = { (value: Double) in "\(Figures.significant(value, 3))/s" }
        switch (kept, failed) {
        case (let kept?, let failed?):
            return "the objectives are kept up to \(rate(kept)) and not at \(rate(failed))"
        case (let kept?, nil): return "the objectives are kept up to at least \(rate(kept))"
        case (nil, let failed?): return "the objectives are not kept at \(rate(failed)) and above"
        case (nil, nil): return "no rate was tried"
        }
    }
}
