// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// Reads typed fields of a JSON object; errors name file, field, value and expectation.
///
/// An absent field is equivalent to null: the default applies. Unknown fields are ignored, since
/// every writer adds some.
struct ConfigReader {
    /// The file, in quotes.
    let source: String
    /// Where the object is in the file, such as `defaults.`; empty at the top.
    let path: String
    /// The object's members.
    let members: [String: JSONValue]

    /// Reads a file that must hold an object.
    init(contentsOf url: URL) throws(CheckpointError) {
        try self.init(JSONValue(contentsOf: url), source: url.path.quoted)
    }

    /// Creates a reader of a value that must be an object.
    init(
        _ value: JSONValue, source: String, path: String = ""
    ) throws(CheckpointError) {
        guard case .object(let members) = value else {
            let place = path.isEmpty ? "" : " in \(path)"
            throw CheckpointError(
                code: .badConfig,
                message: "\(source) has \(value.shown)\(place), expected an object.",
                remedy: "Mend the file.")
        }
        self.source = source
        self.path = path.isEmpty ? "" : path + "."
        self.members = members
    }

    /// The value of a field, unless it is absent or null.
    subscript(key: String) -> JSONValue? {
        guard let value = members[key], value != .null else { return nil }
        return value
    }

    // MARK: Errors

    /// An error about a field.
    func bad(_ key: String, _ value: JSONValue, expected: String) -> CheckpointError {
        CheckpointError(
            code: .badConfig,
            message: "\(source): \(path)\(key) is \(value.shown), expected \(expected).",
            remedy: "Mend the file or download it again.")
    }

    /// An error about fields that contradict each other.
    func bad(_ reason: String) -> CheckpointError {
        CheckpointError(
            code: .badConfig, message: "\(source): \(reason).",
            remedy: "Mend the file or download it again.")
    }

    /// An error about an unsupported setting.
    func unsupported(_ key: String, _ value: JSONValue, expected: String) -> CheckpointError {
        CheckpointError(
            code: .unsupported,
            message: "\(source): \(path)\(key) is \(value.shown), which is not supported, expected"
                + " \(expected).",
            remedy: "Use a Z-Image or Z-Image-Turbo checkpoint.")
    }

    // MARK: Fields

    /// A whole number in `range`, or `nil` if absent.
    func integer(_ key: String, in range: ClosedRange<Int>) throws(CheckpointError) -> Int? {
        guard let value = self[key] else { return nil }
        guard case .integer(let number) = value, range.contains(Int(number)) else {
            throw bad(
                key, value,
                expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return Int(number)
    }

    /// A number in `range`, or `nil` if absent.
    func number(_ key: String, in range: ClosedRange<Double>) throws(CheckpointError) -> Double? {
        guard let value = self[key] else { return nil }
        guard let number = value.asNumber, range.contains(number) else {
            throw bad(
                key, value, expected: "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A truth value, or `nil` if absent.
    func bool(_ key: String) throws(CheckpointError) -> Bool? {
        guard let value = self[key] else { return nil }
        guard case .bool(let flag) = value else {
            throw bad(key, value, expected: "true or false")
        }
        return flag
    }

    /// A text, or `nil` if absent.
    func string(_ key: String) throws(CheckpointError) -> String? {
        guard let value = self[key] else { return nil }
        guard case .string(let text) = value else { throw bad(key, value, expected: "a text") }
        return text
    }

    /// A list, or `nil` if absent.
    func array(_ key: String, count: ClosedRange<Int>) throws(CheckpointError) -> [JSONValue]? {
        guard let value = self[key] else { return nil }
        guard case .array(let elements) = value, count.contains(elements.count) else {
            let length =
                count.lowerBound == count.upperBound
                ? "\(count.lowerBound)" : "\(count.lowerBound) to \(count.upperBound)"
            throw bad(key, value, expected: "a list of length \(length)")
        }
        return elements
    }

    /// A list of whole numbers in `range`, or `nil` if absent.
    func integers(
        _ key: String, count: ClosedRange<Int>, in range: ClosedRange<Int>
    ) throws(CheckpointError) -> [Int]? {
        guard let elements = try array(key, count: count) else { return nil }
        var numbers: [Int] = []
        for element in elements {
            guard case .integer(let number) = element, range.contains(Int(number)) else {
                throw bad(
                    key, .array(elements),
                    expected: "whole numbers from \(range.lowerBound) to \(range.upperBound)")
            }
            numbers.append(Int(number))
        }
        return numbers
    }

    /// A list of texts, or `nil` if absent.
    func strings(_ key: String, count: ClosedRange<Int>) throws(CheckpointError) -> [String]? {
        guard let elements = try array(key, count: count) else { return nil }
        var texts: [String] = []
        for element in elements {
            guard case .string(let text) = element else {
                throw bad(key, .array(elements), expected: "a list of texts")
            }
            texts.append(text)
        }
        return texts
    }

    /// An object, or `nil` if absent.
    func object(_ key: String) throws(CheckpointError) -> ConfigReader? {
        guard let value = self[key] else { return nil }
        return try ConfigReader(value, source: source, path: path + key)
    }

    // MARK: Switches

    /// Requires the value `allowed` or none.
    func require(_ key: String, _ allowed: JSONValue) throws(CheckpointError) {
        guard let value = self[key], value != allowed else { return }
        throw unsupported(key, value, expected: allowed.shown)
    }

    /// Requires an absent or null value.
    func requireAbsent(_ key: String) throws(CheckpointError) {
        guard let value = self[key] else { return }
        throw unsupported(key, value, expected: "null")
    }

    /// Rejects keys that are not in `known`: a misspelt one would have no effect.
    func requireKnown(_ known: [String]) throws(CheckpointError) {
        guard let key = members.keys.sorted().first(where: { !known.contains($0) }) else { return }
        throw bad("\(path)\(key) is not known here, expected only \(known.joined(separator: ", "))")
    }
}

extension JSONValue {
    /// The number, written as an integer or with a fraction.
    package var asNumber: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .unsigned(let number): Double(number)
        case .number(let number): number
        default: nil
        }
    }
}
