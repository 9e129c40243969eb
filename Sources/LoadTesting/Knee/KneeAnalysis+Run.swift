// Part of Inkstone. Licence: see LICENSE.

extension KneeAnalysis {
    /// Analyses the closed levels of a run; `nil` for fewer than three.
    public init?(_ evidence: RunEvidence) {
        let closed = evidence.closed
        guard closed.count >= 3 else { return nil }
        var slices: [Int: [Slice]] = [:]
        let points = closed.compactMap { users, level, figures -> LoadPoint? in
            guard let rate = figures.throughput.value, rate > 0,
                let mean = figures.endToEndCompleted.value
            else { return nil }
            var point = LoadPoint(users: users, throughput: rate, endToEnd: mean / 1000)
            if let low = figures.throughput.low, let high = figures.throughput.high {
                let error = (high - low) / 2 / SpecialFunctions.normal95
                // An interval of width 0 means exact counts, not an infinite weight.
                point.throughputVariance = max(error * error, 1e-6 * rate * rate)
            }
            point.endToEndP95 = figures.endToEnd.p95.value.map { $0 / 1000 }
            point.firstPreviewP95 = figures.firstPreview.p95.value.map { $0 / 1000 }
            point.errorRate = figures.errorRate.value
            slices[users] = Self.slices(level, figures.window)
            return point
        }
        guard points.count >= 3 else { return nil }
        self.init(
            points: points, objectives: evidence.manifest.objectives, slices: slices,
            seed: evidence.manifest.seed)
    }

    /// Twenty equal slices of a window, without those in which no request completed.
    private static func slices(_ level: LevelEvidence, _ window: TimeRange) -> [Slice] {
        let count = 20
        var sums = [Double](repeating: 0, count: count)
        var counts = [Int](repeating: 0, count: count)
        for record in level.load where record.isValid {
            guard let end = record.times.end, window.contains(end), let time = record.endToEnd
            else {
                continue
            }
            let place = min(
                count - 1, Int(Double(end - window.start) / 1e9 / window.seconds * Double(count)))
            sums[place] += Double(time) / 1e9
            counts[place] += 1
        }
        let length = window.seconds / Double(count)
        return (0..<count).filter { counts[$0] > 0 }.map {
            Slice(throughput: Double(counts[$0]) / length, endToEnd: sums[$0] / Double(counts[$0]))
        }
    }
}
