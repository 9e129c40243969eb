// Part of Inkstone. Licence: see LICENSE.

/// What a level looks like at a moment.
package struct LevelSnapshot: Sendable {
    package var phase: Phase
    /// Seconds until the phase ends at the latest.
    package var secondsLeft: Double?
    package var inFlight: Int
    /// Requests that ended, and those of them that failed, in the level so far.
    package var ended: Int
    package var errors: [ErrorClass: Int]
    package var dropped: Int
    /// Images a second over the last 10 s.
    package var throughput: Double
    /// Over the last 10 s, ms.
    package var endToEndP50: Double?
    package var endToEndP95: Double?
    package var firstPreviewP50: Double?
    /// (X R - N) / N over the last 10 s.
    package var littleResidual: Double?
    /// Images in each of the last 40 seconds, the oldest first.
    package var perSecond: [Int]
}

extension LevelWatch {
    /// Reads the state once.
    package var snapshot: LevelSnapshot {
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
