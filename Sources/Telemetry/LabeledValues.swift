// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// The values of one metric by the values of its labels.
///
/// A combination stays until it is removed: labels must come from a small set that no client can enlarge.
final class LabeledValues<Value: Sendable>: Sendable {
    let name: String
    let help: String
    let labels: [String]
    private let initial: Value
    private let values: Mutex<[[String]: Value]>

    init(_ name: String, _ help: String, labels: [String], initial: Value) {
        precondition(Self.isName(name), "'\(name)' is not a metric name")
        precondition(
            labels.allSatisfy { Self.isName($0) && $0 != "le" && !$0.contains(":") },
            "'\(labels)' are not label names")
        self.name = name
        self.help = help
        self.labels = labels
        self.initial = initial
        // Without labels there is one value, which is exported from the start.
        values = Mutex(labels.isEmpty ? [[]: initial] : [:])
    }

    /// Changes the value of one combination.
    func update(_ key: [String], _ change: (inout Value) -> Void) {
        precondition(key.count == labels.count, "\(name) has the labels \(labels), got \(key)")
        values.withLock { change(&$0[key, default: initial]) }
    }

    /// Forgets every combination that begins with this value.
    func remove(_ first: String) {
        values.withLock { $0 = $0.filter { $0.key.first != first } }
    }

    /// The value of one combination.
    subscript(key: [String]) -> Value { values.withLock { $0[key] ?? initial } }

    /// All combinations, by label values.
    var all: [(labels: [MetricFamily.Label], value: Value)] {
        values.withLock { $0 }.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
            key, value in
            (zip(labels, key).map { MetricFamily.Label($0, $1) }, value)
        }
    }

    /// Letters, digits, underscores and colons; no digit at the beginning.
    private static func isName(_ text: String) -> Bool {
        text.wholeMatch(of: /[a-zA-Z_:][a-zA-Z0-9_:]*/) != nil
    }
}
