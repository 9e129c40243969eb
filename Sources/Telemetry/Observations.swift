// Part of Inkstone. Licence: see LICENSE.

/// Observations counted in buckets, with their exact number and sum.
struct Observations: Sendable {
    private let bounds: [Double]
    /// By bucket, not cumulative; the last one has no bound.
    private var counts: [UInt64]
    private(set) var sum = 0.0

    /// Creates empty buckets with the given upper bounds, in ascending order.
    init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    /// Number of observations.
    var total: UInt64 { counts.reduce(0, +) }

    /// Counts an observation; a value that is not finite is discarded.
    mutating func count(_ value: Double) {
        guard value.isFinite else { return }
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }

    /// Returns cumulative buckets, sum and number as samples of a histogram.
    func samples(labels: [MetricFamily.Label]) -> [MetricFamily.Sample] {
        var samples: [MetricFamily.Sample] = []
        var total: UInt64 = 0
        for (bound, count) in zip(bounds + [.infinity], counts) {
            total += count
            let bucket = MetricFamily.Label("le", MetricsText.number(bound))
            samples.append(.init(suffix: "_bucket", labels + [bucket], Double(total)))
        }
        samples.append(.init(suffix: "_sum", labels, sum))
        samples.append(.init(suffix: "_count", labels, Double(total)))
        return samples
    }
}
