// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Reads a result folder that `imgbench run` of version 0.1.0 wrote against the mock server.
///
/// `plan.jsonl` is shortened; report and images are removed.
@Suite struct StoredResultTests {
    private static let here = URL(filePath: #filePath).deletingLastPathComponent()
    private static let folder = ResultFolder(here.appending(path: "Results/0.1.0"))

    @Test("records, levels and plan of a stored run are read")
    func records() throws {
        let folder = Self.folder
        let manifest = try folder.manifest()
        #expect(manifest.name == "fixture" && manifest.status == .complete)
        let levels = folder.presentLevels(manifest)
        #expect(levels.map(\.level) == ["closed-001", "closed-002", "closed-003"])
        #expect(try folder.plan().count == 6)
        for visit in levels {
            let level = folder.level(visit)
            let records = try level.requests()
            #expect(try level.result().accounting.valid == records.count { $0.purpose == .load })
            for record in records {
                #expect(record.image?.format == "png" && record.image?.width == 32)
                #expect(record.image?.pixelDigest?.count == 64)
                #expect(record.calls.first?.echoedId == record.id)
                #expect(record.server?.steps?.count == 4)
            }
            #expect(level.series().count >= 2)
        }
        #expect(try folder.probes.requests().contains { $0.purpose == .determinism })
    }

    @Test("figures, audit and tables computed from a stored run are those that are stored")
    func report() throws {
        let reporter = try RunReporter(Self.folder)
        let stored = try ResultFolder.decode(
            AuditReport.self, Data(contentsOf: Self.folder.auditFile), Self.folder.auditFile)
        #expect(reporter.audit.checks.map(\.id) == stored.checks.map(\.id))
        #expect(reporter.audit.checks.map(\.verdict) == stored.checks.map(\.verdict))
        let pairs = zip(
            reporter.audit.checks.flatMap(\.findings), stored.checks.flatMap(\.findings))
        for (computed, stored) in pairs {
            #expect(computed.level == stored.level)
            #expect(Set(computed.numbers.keys) == Set(stored.numbers.keys))
            // Elementary functions differ in the last bit between processors.
            for (name, value) in computed.numbers {
                let other = stored.numbers[name] ?? .infinity
                #expect(abs(value - other) <= 1e-9 * max(1, abs(other)), "\(name)")
            }
        }
        #expect(
            reporter.csv == (try String(contentsOf: Self.folder.tableCSVFile, encoding: .utf8)))
        let summary = try RunSummary.read(Self.folder)
        #expect(reporter.summary.levels.map(\.accounting) == summary.levels.map(\.accounting))
        #expect(reporter.summary.levels.map(\.resources) == summary.levels.map(\.resources))
        // The headline of a run whose audit failed is the worst finding.
        let text = reporter.summary.headline?.text
        #expect(
            reporter.audit.hasPassed
                ? text == summary.headline?.text
                : text?.hasPrefix("Not a result: the audit failed.") == true)
    }

    @Test("a record that is written again has the same bytes")
    func bytes() throws {
        let level = Self.folder.level(try Self.folder.manifest().levels[0])
        #expect(
            try RecordCoding.lines(level.requests()) == Data(contentsOf: level.requestsFile))
    }

    @Test("the article of the first load test has the scenario and the code of the example")
    func article() throws {
        let root = Self.here.appending(path: "../..").standardized
        func text(_ path: String) throws -> String {
            try String(contentsOf: root.appending(path: path), encoding: .utf8)
        }
        let article = try text("Sources/LoadTesting/LoadTesting.docc/FirstLoadTest.md")
        let scenario = try text("Examples/FirstLoadTest/scenario.yaml")
        #expect(
            article.contains(scenario.split(separator: "\n").dropFirst().joined(separator: "\n")))
        let code = try text("Examples/FirstLoadTest/FirstLoadTest.swift")
        for line in code.split(separator: "\n").map({ $0.trimmingCharacters(in: .whitespaces) })
        where line.contains("try ") && !line.hasPrefix("let scenario") && !line.hasPrefix("static")
        {
            #expect(article.contains(line), "\(line)")
        }
    }
}
