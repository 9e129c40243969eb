// Part of Inkstone. Licence: see LICENSE.

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let values: LabeledValues<Double>

    init(_ name: String, _ help: String, labels: [String]) {
        values = LabeledValues(name, help, labels: labels, initial: 0)
    }

    /// Sets the value; NaN and infinities are ignored.
    package func set(_ value: Double, _ labels: String...) {
        guard value.isFinite else { return }
        values.update(labels) { $0 = value }
    }

    /// Adds to the value; NaN and infinities are ignored.
    package func add(_ amount: Double, _ labels: String...) {
        guard amount.isFinite else { return }
        values.update(labels) { $0 += amount }
    }

    /// Removes all values with this first label.
    package func remove(_ first: String) { values.remove(first) }

    /// The value of these label values.
    package func value(_ labels: String...) -> Double { values[labels] }

    var family: MetricFamily {
        MetricFamily(
            values.name, values.help, kind: .gauge,
            samples: values.all.map { MetricFamily.Sample($0.labels, $0.value) })
    }
}
