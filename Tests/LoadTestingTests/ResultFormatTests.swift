// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// The files for other programs: JSON lines, OpenMetrics and JUnit.
@Suite struct ResultFormatTests {
    static func files(_ run: RunEvidence) throws -> (lines: String, metrics: String, junit: String)
    {
        try EvidenceTests.withFolder { folder in
            try EvidenceTests.write(run, to: folder)
            try RunReporter(folder).write([.jsonl, .openmetrics, .junit])
            let text = { (file: URL) in try String(contentsOf: file, encoding: .utf8) }
            return (
                try text(folder.resultsFile), try text(folder.openMetricsFile),
                try text(folder.junitFile)
            )
        }
    }

    /// Whether a document with a declaration is well-formed.
    static func isWellFormed(_ document: String) -> Bool {
        let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        return document.hasPrefix(declaration)
            && XMLChecker().isWellFormed(String(document.dropFirst(declaration.count)))
    }

    static func run(change: (inout RunEvidence) -> Void = { _ in }) -> RunEvidence {
        var run = SimulatedRun.evidence(users: [1, 4], hold: 40)
        run.manifest.objectives.endToEndP95 = 0.1
        run.manifest.objectives.errors = 0.01
        change(&run)
        return run
    }

    @Test("every line is valid in the published schema")
    func schema() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Docs/schemas/imgbench-results.schema.json")
        let schema = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        let lines = try Self.files(Self.run()).lines.split(separator: "\n")
        var types: [String] = []
        for line in lines {
            let value = try #require(
                try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            let name = try #require(value["type"] as? String)
            types.append(name)
            let definitions = try #require(schema["$defs"] as? [String: [String: Any]])
            let definition = try #require(definitions[name])
            #expect(SchemaCheck(schema).faults(value, definition, name).isEmpty, "\(line)")
        }
        #expect(types.first == "run")
        #expect(types.count { $0 == "level" } == 2)
        #expect(types.count { $0 == "check" } == CheckID.allCases.count)
        #expect(types.count { $0 == "objective" } == 4)
    }

    @Test("the validator finds a missing, a wrong and an unknown member")
    func validator() throws {
        let schema: [String: Any] = [
            "type": "object", "required": ["n"], "additionalProperties": false,
            "properties": ["n": ["type": "integer"], "v": ["enum": ["pass", "fail"]]],
        ]
        let check = SchemaCheck(schema)
        #expect(check.faults(["n": 1, "v": "pass"], schema, "").isEmpty)
        #expect(check.faults(["v": "pass"], schema, "").count == 1)
        #expect(check.faults(["n": "1"], schema, "").count == 1)
        #expect(check.faults(["n": 1, "v": "x"], schema, "").count == 1)
        #expect(check.faults(["n": 1, "w": 1], schema, "").count == 1)
    }

    @Test("OpenMetrics has types, units, totals and an end")
    func openMetrics() throws {
        let text = try Self.files(Self.run()).metrics
        #expect(text.hasSuffix("# EOF\n"))
        let lines = text.split(separator: "\n").dropLast()
        var family = ""
        for line in lines {
            if line.hasPrefix("#") {
                let words = line.split(separator: " ", maxSplits: 3)
                #expect(["TYPE", "UNIT", "HELP"].contains(words[1]), "\(line)")
                if words[1] == "TYPE" { family = String(words[2]) }
                #expect(words[2] == family)
                if words[1] == "UNIT" { #expect(family.hasSuffix("_" + words[3])) }
                continue
            }
            #expect(
                line.wholeMatch(
                    of: /[a-z_]+\{[a-z_0-9]+="[^"]*"(?:,[a-z_0-9]+="[^"]*")*\} -?[0-9.]+/)
                    != nil, "\(line)")
            #expect(line.hasPrefix(family))
        }
        #expect(text.contains("# TYPE imgbench_requests counter\n"))
        #expect(text.contains("imgbench_requests_total{run="))
        #expect(text.contains("imgbench_throughput_images_per_second{"))
        #expect(text.contains("level=\"closed-004\",visit=\"1\",users=\"4\",statistic=\"p95\""))
    }

    @Test("JUnit fails a check that fails and an objective that is missed")
    func junit() throws {
        let good = try Self.files(
            Self.run { run in
                run.manifest.objectives.endToEndP95 = nil
                for index in run.levels.indices { run.levels[index].log = nil }
            }
        ).junit
        #expect(Self.isWellFormed(good))
        #expect(good.contains("failures=\"0\""))
        let skipped = JUnitReport(
            name: "a & b", cases: [.init(group: "audit", name: "A3", skipped: "no <log>")]
        ).xml
        #expect(Self.isWellFormed(skipped))
        #expect(skipped.contains("skipped=\"1\""))
        #expect(skipped.contains("<skipped message=\"no &lt;log&gt;\""))
        let bad = try Self.files(
            Self.run { run in
                let digest = run.levels[1].records[6].image?.pixelDigest
                run.levels[1].records[5].image?.pixelDigest = digest
            }
        ).junit
        #expect(Self.isWellFormed(bad))
        #expect(bad.contains("name=\"A6 duplicate images\"><failure message="))
        #expect(bad.contains("name=\"e2e_p95\"><failure message="))
        #expect(bad.contains("expected at most 0.1"))
    }
}

/// Validates the part of JSON Schema that the published schema uses.
struct SchemaCheck {
    private let root: [String: Any]

    init(_ root: [String: Any]) { self.root = root }

    /// The places of a value that the schema does not allow.
    func faults(_ value: Any, _ schema: [String: Any], _ path: String) -> [String] {
        if let reference = schema["$ref"] as? String {
            let name = String(reference.split(separator: "/").last ?? "")
            let definitions = root["$defs"] as? [String: [String: Any]]
            return definitions?[name].map { faults(value, $0, path) } ?? ["\(path): \(reference)"]
        }
        if let allowed = schema["enum"] as? [String] {
            return allowed.contains((value as? String) ?? "\0") ? [] : ["\(path): not in the list"]
        }
        if let constant = schema["const"] {
            return "\(constant)" == "\(value)" ? [] : ["\(path): not \(constant)"]
        }
        switch schema["type"] as? String {
        case "object": return members(value, schema, path)
        case "array":
            guard let list = value as? [Any] else { return ["\(path): not an array"] }
            let items = schema["items"] as? [String: Any] ?? [:]
            return list.flatMap { faults($0, items, path + "[]") }
        case "string": return value is String ? [] : ["\(path): not a string"]
        case "boolean": return value is Bool ? [] : ["\(path): not a boolean"]
        case "integer":
            let number = value is String ? nil : (value as? NSNumber)?.doubleValue
            return number.map { $0 == $0.rounded() } == true ? [] : ["\(path): not an integer"]
        case "number":
            return !(value is String) && value is NSNumber ? [] : ["\(path): not a number"]
        default: return []
        }
    }

    private func members(_ value: Any, _ schema: [String: Any], _ path: String) -> [String] {
        guard let object = value as? [String: Any] else { return ["\(path): not an object"] }
        let properties = schema["properties"] as? [String: [String: Any]] ?? [:]
        var result = (schema["required"] as? [String] ?? []).filter { object[$0] == nil }
            .map { "\(path).\($0): missing" }
        for (name, member) in object {
            if let property = properties[name] ?? schema["additionalProperties"] as? [String: Any] {
                result += faults(member, property, "\(path).\(name)")
            } else {
                result.append("\(path).\(name): unknown")
            }
        }
        return result
    }
}
