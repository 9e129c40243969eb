// Part of Inkstone. Licence: see LICENSE.

import Testing

/// Reads Prometheus text strictly, and checks what the format promises.
struct PrometheusText {
    struct Sample: Equatable {
        var name: String
        var labels: [String: String]
        var value: Double
    }

    struct Malformed: Error {
        var line: String
    }

    private(set) var kinds: [String: String] = [:]
    private(set) var helps: [String: String] = [:]
    private(set) var samples: [Sample] = []

    init(_ text: String) throws {
        try #require(text.hasSuffix("\n"), "the last line ends with a line feed")
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            if line == "# EOF" { continue }
            if line.hasPrefix("# ") {
                let parts = line.split(separator: " ", maxSplits: 3).map(String.init)
                guard parts.count == 4 else { throw Malformed(line: String(line)) }
                if parts[1] == "TYPE" {
                    #expect(kinds[parts[2]] == nil, "one group per metric")
                    kinds[parts[2]] = parts[3]
                } else {
                    helps[parts[2]] = parts[3]
                }
            } else {
                samples.append(try Self.sample(line))
            }
        }
        checkHistograms()
    }

    /// The value of a sample, or `nil` where it is not told.
    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        samples.first { $0.name == name && $0.labels == labels }?.value
    }

    private static func sample(_ line: Substring) throws -> Sample {
        let malformed = Malformed(line: String(line))
        var rest = line
        let name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == ":" }
        rest = rest.dropFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest = rest.dropFirst()
            while rest.first != "}" {
                let key = rest.prefix { $0 != "=" }
                rest = rest.dropFirst(key.count)
                guard rest.hasPrefix("=\"") else { throw malformed }
                rest = rest.dropFirst(2)
                var value = ""
                while let character = rest.popFirst(), character != "\"" {
                    guard character == "\\" else {
                        value.append(character)
                        continue
                    }
                    switch rest.popFirst() {
                    case "n": value.append("\n")
                    case "\\": value.append("\\")
                    case "\"": value.append("\"")
                    default: throw malformed
                    }
                }
                labels[String(key)] = value
                if rest.first == "," { rest = rest.dropFirst() }
            }
            rest = rest.dropFirst()
        }
        guard rest.first == " " else { throw malformed }
        let text = rest.dropFirst()
        let number = text == "+Inf" ? Double.infinity : Double(text)
        guard let number else { throw malformed }
        return Sample(name: String(name), labels: labels, value: number)
    }

    /// Buckets ascend, the last one is `+Inf` and equals the count, and there is a sum.
    private func checkHistograms() {
        for (family, kind) in kinds where kind == "histogram" {
            let buckets = samples.filter { $0.name == family + "_bucket" }
            let groups = Dictionary(grouping: buckets) { sample in
                sample.labels.filter { $0.key != "le" }
            }
            for (labels, group) in groups {
                let bounds = group.map {
                    $0.labels["le"] == "+Inf" ? .infinity : Double($0.labels["le"] ?? "") ?? .nan
                }
                #expect(bounds == bounds.sorted() && bounds.last == .infinity)
                #expect(group.map(\.value) == group.map(\.value).sorted(), "cumulative")
                #expect(value(family + "_count", labels) == group.last?.value)
                #expect(value(family + "_sum", labels) != nil)
            }
        }
    }
}
