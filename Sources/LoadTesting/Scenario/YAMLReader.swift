// Part of Inkstone. Licence: see LICENSE.

import Yams

/// A mapping of a YAML file that is read key by key, with errors that name line and column.
struct YAMLMap {
    let node: Node
    let mapping: Node.Mapping
    private let path: String

    init(_ node: Node, _ path: String) throws(ScenarioError) {
        guard let mapping = node.mapping else {
            throw Self.error(
                node, "\(path.isEmpty ? "the scenario" : path) must be a mapping of keys to values."
            )
        }
        self.node = node
        self.mapping = mapping
        self.path = path
    }

    /// Checks that the mapping has no other keys.
    ///
    /// - Throws: `ScenarioError` with line and column of the first other key.
    func allow(_ keys: [String]) throws(ScenarioError) {
        for (key, _) in mapping where !keys.contains(key.string ?? "") {
            throw Self.error(
                key,
                "\(path.isEmpty ? "the scenario" : path) has no key '\(key.string ?? "")'; expected one of"
                    + " \(keys.joined(separator: ", ")).")
        }
    }

    subscript(_ key: String) -> Node? { mapping[key] }

    func map(_ key: String) throws(ScenarioError) -> YAMLMap? {
        guard let node = mapping[key] else { return nil }
        return try YAMLMap(node, at(key))
    }

    func string(_ key: String) throws(ScenarioError) -> String? {
        guard let node = mapping[key] else { return nil }
        return try Self.string(node, at(key))
    }

    func integer(_ key: String, in range: ClosedRange<Int>) throws(ScenarioError) -> Int? {
        guard let node = mapping[key] else { return nil }
        return try Self.integer(node, at(key), in: range)
    }

    func number(_ key: String) throws(ScenarioError) -> Double? {
        guard let node = mapping[key] else { return nil }
        return try Self.value(node, at(key), "a number of at least 0") {
            Double($0).flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
        }
    }

    func duration(_ key: String) throws(ScenarioError) -> Double? {
        guard let node = mapping[key] else { return nil }
        return try Self.value(
            node, at(key), "a duration with its unit, for instance 500ms, 30s or 2m",
            ScenarioUnits.duration)
    }

    func share(_ key: String) throws(ScenarioError) -> Double? {
        guard let node = mapping[key] else { return nil }
        return try Self.value(
            node, at(key), "a share with its sign, for instance 0.8%", ScenarioUnits.share)
    }

    func word<T: RawRepresentable & CaseIterable>(
        _ key: String, _ type: T.Type
    ) throws(ScenarioError) -> T? where T.RawValue == String {
        guard let node = mapping[key] else { return nil }
        return try Self.value(
            node, at(key), "one of " + T.allCases.map(\.rawValue).joined(separator: ", "),
            T.init(rawValue:))
    }

    func flag(_ key: String) throws(ScenarioError) -> Bool? {
        guard let node = mapping[key] else { return nil }
        return try Self.value(node, at(key), "true or false") {
            ["true": true, "on": true, "yes": true, "false": false, "off": false, "no": false][$0]
        }
    }

    /// The path of a key, for messages.
    func at(_ key: String) -> String { path.isEmpty ? key : path + "." + key }

    // MARK: Nodes

    static func list(_ node: Node) -> [Node] { node.sequence.map { Array($0) } ?? [node] }

    static func string(_ node: Node, _ path: String) throws(ScenarioError) -> String {
        guard let text = node.scalar?.string else {
            throw error(node, "\(path) must be text.")
        }
        return text
    }

    static func integer(
        _ node: Node, _ path: String, in range: ClosedRange<Int>
    ) throws(ScenarioError) -> Int {
        try value(
            node, path,
            range.lowerBound == range.upperBound
                ? "\(range.lowerBound)"
                : "a whole number from \(range.lowerBound) to \(range.upperBound)"
        ) { Int($0).flatMap { range.contains($0) ? $0 : nil } }
    }

    static func value<T>(
        _ node: Node, _ path: String, _ expected: String, _ parse: (String) -> T?
    ) throws(ScenarioError) -> T {
        let text = try string(node, path)
        guard let value = parse(text) else {
            throw error(node, "\(path) must be \(expected), found '\(text)'.")
        }
        return value
    }

    static func error(_ node: Node, _ message: String) -> ScenarioError {
        guard let mark = node.mark else { return ScenarioError(message) }
        return ScenarioError("line \(mark.line), column \(mark.column): \(message)")
    }
}
