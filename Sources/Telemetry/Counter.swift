// Part of Inkstone. Licence: see LICENSE.

/// A number that only grows.
package final class Counter: Sendable {
    private let values: LabeledValues<Double>

    init(_ name: String, _ help: String, labels: [String]) {
        precondition(name.hasSuffix("_total"), "the counter '\(name)' must end in _total")
        values = LabeledValues(name, help, labels: labels, initial: 0)
    }

    /// Adds to the counter of these label values; what is negative or no number is left out.
    package func add(_ amount: Double = 1, _ labels: String...) {
        guard amount >= 0, amount.isFinite else { return }
        values.update(labels) { $0 += amount }
    }

    /// Shows a combination with 0 before it is counted for the first time.
    package func show(_ labels: String...) {
        values.update(labels) { _ in }
    }

    /// The count of these label values.
    package func value(_ labels: String...) -> Double { values[labels] }

    var family: MetricFamily {
        MetricFamily(
            values.name, values.help, kind: .counter,
            samples: values.all.map { MetricFamily.Sample($0.labels, $0.value) })
    }
}
