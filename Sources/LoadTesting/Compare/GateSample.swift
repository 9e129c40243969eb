// Part of Inkstone. Licence: see LICENSE.

/// The samples of a visit of a level that a gate compares.
struct GateSample {
    /// The level, without the number of the visit.
    let name: String
    /// The level's key, with the number of the visit from the second on.
    let key: String
    /// E2E in ms of the valid requests started in the window, in order of completion.
    let times: [Double]
    /// Times to the first preview in ms, in the same order.
    let previews: [Double]
    /// Images a second in equal slices of the window; empty for too few images.
    let rates: [Double]
    /// Images a second.
    let rate: Double
    /// Number of images in the window.
    let completed: Int
    /// Requests that were started in the window and have ended.
    let started: Int
    /// Those of them that failed.
    let failed: Int

    /// Number of batches and slices.
    private static let parts = 10
    /// The smallest number of samples that is divided into them.
    private static let minimum = 50

    /// The samples of the visits with figures.
    static func all(_ run: RunEvidence) -> [GateSample] {
        run.levels.compactMap { level in
            level.figures.map { GateSample(level, $0.window) }
        }
    }

    private init(_ level: LevelEvidence, _ window: TimeRange) {
        name = level.visit.level
        key = level.key
        let ended = level.load.filter { $0.times.end != nil }
            .sorted { ($0.times.end ?? 0, $0.sequence) < ($1.times.end ?? 0, $1.sequence) }
        let sent = ended.filter { window.contains($0.times.send) }
        started = sent.count
        failed = sent.count { !$0.isValid }
        times = sent.filter(\.isValid).compactMap(\.endToEndMs)
        previews = sent.filter(\.isValid).compactMap(\.firstPreviewMs)
        let done = ended.filter(\.isValid).compactMap(\.times.end).filter(window.contains)
        completed = done.count
        rate = window.seconds > 0 ? Double(done.count) / window.seconds : 0
        guard done.count >= Self.minimum else {
            rates = []
            return
        }
        var counts = [Double](repeating: 0, count: Self.parts)
        let length = window.end - window.start
        for end in done {
            let place = Int(Double(end - window.start) / Double(length) * Double(Self.parts))
            counts[min(Self.parts - 1, place)] += 1
        }
        rates = counts.map { $0 * Double(Self.parts) / window.seconds }
    }

    /// The mean of a metric; 0 without samples.
    func mean(of metric: RegressionGate.Metric) -> Double {
        switch metric {
        case .endToEnd: SampleStatistics.mean(times)
        case .firstPreview: SampleStatistics.mean(previews)
        case .throughput: rate
        case .errors: started > 0 ? Double(failed) / Double(started) : 0
        }
    }

    /// The mean of a metric with its uncertainty from batches, and from the effective number of samples.
    func means(of metric: RegressionGate.Metric) -> [WelchTest.Mean?] {
        switch metric {
        case .endToEnd: [Self.batches(times), Self.effective(times)]
        case .firstPreview: [Self.batches(previews), Self.effective(previews)]
        case .throughput: [slices]
        case .errors: []
        }
    }

    private static func batches(_ values: [Double]) -> WelchTest.Mean? {
        guard values.count >= minimum else { return nil }
        let length = values.count / parts
        return WelchTest.Mean(
            independent: (0..<parts).map { part in
                SampleStatistics.mean(Array(values[(part * length)..<((part + 1) * length)]))
            })
    }

    private static func effective(_ values: [Double]) -> WelchTest.Mean? {
        let effective = SampleStatistics.effectiveCount(values)
        guard values.count >= minimum, effective >= 3 else { return nil }
        return WelchTest.Mean(
            value: SampleStatistics.mean(values),
            variance: SampleStatistics.variance(values) / effective, freedom: effective - 1)
    }

    private var slices: WelchTest.Mean? {
        guard var mean = WelchTest.Mean(independent: rates), rate > 0 else { return nil }
        // The edges of the window cut an image, so the count is uncertain by half of one.
        let edge = rate / max(1, Double(completed)) / 2
        mean.variance = max(mean.variance, edge * edge)
        return mean
    }
}
