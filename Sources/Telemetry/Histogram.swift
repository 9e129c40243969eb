// Part of Inkstone. Licence: see LICENSE.

/// Counts observations by size, with their exact number and sum.
package final class Histogram: Sendable {
    /// What was observed under one combination of labels.
    struct Observations: Sendable {
        /// By bucket, not cumulative; the last one has no bound.
        var counts: [UInt64]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let values: LabeledValues<Observations>

    init(_ name: String, _ help: String, buckets: [Double], labels: [String]) {
        precondition(
            zip(buckets, buckets.dropFirst()).allSatisfy { $0 < $1 }
                && buckets.allSatisfy(\.isFinite),
            "the buckets of '\(name)' must be numbers in ascending order")
        bounds = buckets
        values = LabeledValues(
            name, help, labels: labels,
            initial: Observations(counts: Array(repeating: 0, count: buckets.count + 1)))
    }

    /// Counts an observation; what is no number is left out.
    package func observe(_ value: Double, _ labels: String...) {
        guard value.isFinite else { return }
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        values.update(labels) {
            $0.counts[bucket] += 1
            $0.sum += value
        }
    }

    /// Observations under these label values.
    package func count(_ labels: String...) -> Int {
        Int(values[labels].counts.reduce(0, +))
    }

    /// Their sum.
    package func sum(_ labels: String...) -> Double { values[labels].sum }

    var family: MetricFamily {
        var samples: [MetricFamily.Sample] = []
        for (labels, observed) in values.all {
            var total: UInt64 = 0
            for (bound, count) in zip(bounds + [.infinity], observed.counts) {
                total += count
                let bucket = MetricFamily.Label("le", MetricsText.number(bound))
                samples.append(.init(suffix: "_bucket", labels + [bucket], Double(total)))
            }
            samples.append(.init(suffix: "_sum", labels, observed.sum))
            samples.append(.init(suffix: "_count", labels, Double(total)))
        }
        return MetricFamily(values.name, values.help, kind: .histogram, samples: samples)
    }
}
