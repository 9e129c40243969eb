// Part of Inkstone. Licence: see LICENSE.

/// A metric of observations counted in buckets, with their exact number and sum.
package final class Histogram: Sendable {
    private let values: LabeledValues<Observations>

    init(_ name: String, _ help: String, buckets: [Double], labels: [String]) {
        precondition(
            zip(buckets, buckets.dropFirst()).allSatisfy { $0 < $1 }
                && buckets.allSatisfy(\.isFinite),
            "the buckets of '\(name)' must be numbers in ascending order")
        values = LabeledValues(
            name, help, labels: labels, initial: Observations(bounds: buckets))
    }

    /// Counts an observation; a value that is not finite is discarded.
    package func observe(_ value: Double, _ labels: String...) {
        guard value.isFinite else { return }
        values.update(labels) { $0.count(value) }
    }

    /// Returns the number of observations with these label values.
    package func count(_ labels: String...) -> Int { Int(values[labels].total) }

    /// Returns the sum of the observations with these label values.
    package func sum(_ labels: String...) -> Double { values[labels].sum }

    var family: MetricFamily {
        MetricFamily(
            values.name, values.help, kind: .histogram,
            samples: values.all.flatMap { $0.value.samples(labels: $0.labels) })
    }
}
