// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Parses values with units, as scenario files and options have them.
package enum ScenarioUnits {
    /// `500ms`, `5s`, `2m` or `1h`, in seconds; `nil` without a unit.
    package static func duration(_ text: String) -> Double? {
        for (unit, seconds) in [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]
        where text.hasSuffix(unit) {
            return number(text.dropLast(unit.count)).map { $0 * seconds }
        }
        return nil
    }

    /// `512x768`: width and height in pixels.
    package static func size(_ text: String) -> RequestMix.Size? {
        let parts = text.split(separator: "x", omittingEmptySubsequences: false)
        guard parts.count == 2, let width = Int(parts[0]), let height = Int(parts[1]),
            (1...16384).contains(width), (1...16384).contains(height)
        else { return nil }
        return RequestMix.Size(width: width, height: height)
    }

    /// `0.8%` as 0.008.
    package static func share(_ text: String) -> Double? {
        guard text.hasSuffix("%") else { return nil }
        return number(text.dropLast()).map { $0 / 100 }
    }

    /// `12.5/s`, requests a second.
    package static func rate(_ text: String) -> Double? {
        guard text.hasSuffix("/s") else { return nil }
        return number(text.dropLast(2)).flatMap { $0 > 0 ? $0 : nil }
    }

    /// `80TFLOP/s`, `1.5PFLOP/s` or `300GFLOP/s`, operations a second.
    package static func operations(_ text: String) -> Double? {
        for (unit, factor) in [("GFLOP/s", 1e9), ("TFLOP/s", 1e12), ("PFLOP/s", 1e15)]
        where text.hasSuffix(unit) {
            return number(text.dropLast(unit.count)).map { $0 * factor }
        }
        return nil
    }

    /// `12GB/s`, `100MB/s` or `1Gbit/s`, bytes a second.
    package static func bandwidth(_ text: String) -> Double? {
        for (unit, factor) in [
            ("Gbit/s", 1.25e8), ("Mbit/s", 1.25e5), ("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3),
        ] where text.hasSuffix(unit) {
            return number(text.dropLast(unit.count)).map { $0 * factor }
        }
        return nil
    }

    private static func number(_ text: Substring) -> Double? {
        guard let value = Double(text.trimmingCharacters(in: .whitespaces)), value.isFinite,
            value >= 0
        else { return nil }
        return value
    }
}

/// Replaces `${NAME}` and `${NAME:-default}` in a scenario file.
package enum VariableSubstitution {
    /// Replaces the variables of a text.
    ///
    /// - Throws: `ScenarioError` with the line of a variable that is not set and has no default.
    package static func apply(
        to text: String, environment: [String: String]
    ) throws(ScenarioError) -> String {
        var result = ""
        var rest = text[...]
        while let open = rest.range(of: "${") {
            result += rest[..<open.lowerBound]
            let line = text[..<open.lowerBound].reduce(1) { $1 == "\n" ? $0 + 1 : $0 }
            guard let close = rest[open.upperBound...].firstIndex(of: "}") else {
                throw ScenarioError("line \(line): '${' has no '}'.")
            }
            let inside = rest[open.upperBound..<close]
            let parts = inside.range(of: ":-")
            let name = String(parts.map { inside[..<$0.lowerBound] } ?? inside)
            let fallback = parts.map { String(inside[$0.upperBound...]) }
            guard let value = environment[name].flatMap({ $0.isEmpty ? nil : $0 }) ?? fallback
            else {
                throw ScenarioError(
                    "line \(line): the variable \(name) is not set; set it, or write"
                        + " ${\(name):-default}.")
            }
            result += value
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }
}
