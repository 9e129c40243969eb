// Part of Inkstone. Licence: see LICENSE.

/// The state of a running level at a moment.
public struct LevelSnapshot: Sendable {
    /// The current phase.
    public var phase: Phase
    /// Seconds until the latest end of the phase.
    public var secondsLeft: Double?
    /// Open requests.
    public var inFlight: Int
    /// Requests completed or failed in the level so far.
    public var ended: Int
    /// Failed requests in the level so far, by class.
    public var errors: [ErrorClass: Int]
    /// Arrivals dropped in the level so far.
    public var dropped: Int
    /// Images a second over the last 10 s.
    public var throughput: Double
    /// Median of E2E over the last 10 s, ms.
    public var endToEndP50: Double?
    /// 95th percentile of E2E over the last 10 s, ms.
    public var endToEndP95: Double?
    /// Median of the time to the first preview over the last 10 s, ms.
    public var firstPreviewP50: Double?
    /// Residual of Little's law over the last 10 s: (X R - N) / N.
    public var littleResidual: Double?
    /// Images in each of the last 40 seconds, the oldest first.
    public var perSecond: [Int]
}

extension LevelWatch {
    /// A snapshot of the state.
    public var snapshot: LevelSnapshot {
        let now = clock.now
        let second: Int64 = 1_000_000_000
        let all = state.completions(since: now - 40 * second)
        let recent = all.filter { $0.end >= now - 10 * second }
        let times = recent.map { Double($0.endToEnd) / 1e6 }.sorted()
        let previews = recent.compactMap { $0.firstPreview.map { Double($0) / 1e6 } }.sorted()
        let entries = state.entries()
        var errors: [ErrorClass: Int] = [:]
        for error in entries.compactMap(\.record.error) { errors[error, default: 0] += 1 }
        let start = entries.first?.record.times.send ?? now
        let length = min(10, max(1, Double(now - start) / 1e9))
        let rate = Double(recent.count { $0.error == nil }) / length
        var perSecond = [Int](repeating: 0, count: 40)
        for completion in all where completion.error == nil {
            let age = Int((now - completion.end) / second)
            if (0..<40).contains(age) { perSecond[39 - age] += 1 }
        }
        let inFlight = state.inFlight
        var residual: Double?
        if inFlight > 0, !times.isEmpty {
            let mean = times.reduce(0, +) / Double(times.count) / 1000
            residual = (Double(recent.count) / length * mean - Double(inFlight)) / Double(inFlight)
        }
        func quantile(_ sorted: [Double], _ share: Double) -> Double? {
            sorted.isEmpty ? nil : sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
        }
        return LevelSnapshot(
            phase: state.phase, secondsLeft: view.phaseEnd.map { Double($0 - now) / 1e9 },
            inFlight: inFlight, ended: entries.count, errors: errors, dropped: state.dropped,
            throughput: rate, endToEndP50: quantile(times, 0.5),
            endToEndP95: quantile(times, 0.95), firstPreviewP50: quantile(previews, 0.5),
            littleResidual: residual, perSecond: perSecond)
    }
}
