// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Tables in the forms in which they are published, true and false.
@Suite struct TableFormTests {
    /// A file of `Tables`, what it contains, and which checks must fail.
    struct Example: Decodable, CustomTestStringConvertible {
        var file: String
        var users: [Int]
        /// Images a second and seconds of the last row.
        var throughput: Double
        var latency: Double
        var fails: [CheckID]
        /// Names of columns and rows that are left out.
        var leftOut: [String]
        var columns: [String]?
        var device: String?
        var devices: Int?
        var size: String?
        /// Megabytes a second.
        var link: Double?

        var testDescription: String { file }
    }

    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "Tables")

    static let examples: [Example] = {
        let file = folder.appending(path: "verdicts.json")
        let data = (try? Data(contentsOf: file)) ?? Data()
        return (try? JSONDecoder().decode([Example].self, from: data)) ?? []
    }()

    static func table(_ example: Example) throws -> PublishedTable {
        try PublishedTable(
            contentsOf: folder.appending(path: example.file),
            columns: (example.columns ?? []).map { try ColumnChoice($0) })
    }

    @Test func everyFileIsAnExample() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        #expect(Set(files) == Set(Self.examples.map(\.file) + ["verdicts.json"]))
        #expect(Self.examples.count >= 40)
        #expect(Self.examples.count { $0.fails.isEmpty } >= 20)
        #expect(Self.examples.count { !$0.fails.isEmpty } >= 15)
    }

    @Test(arguments: examples)
    func isReadWhole(_ example: Example) throws {
        let table = try Self.table(example)
        #expect(table.rows.map(\.users) == example.users)
        let last = try #require(table.rows.last)
        // Tables are printed with two digits or more.
        #expect(abs(last.throughput.value / example.throughput - 1) < 0.01)
        #expect(abs(last.endToEnd / example.latency - 1) < 0.01)
        #expect(table.omissions.map(\.name) == example.leftOut)
    }

    @Test(arguments: examples)
    func hasItsVerdict(_ example: Example) throws {
        var audit = TableAudit(try Self.table(example))
        audit.device = example.device.flatMap(DevicePeaks.named)
        audit.devices = example.devices ?? 1
        audit.size = example.size.map { size in
            let sides = size.split(separator: "x").compactMap { Int($0) }
            return (sides[0], sides[1])
        }
        audit.linkBytesPerSecond = example.link.map { $0 * 1e6 }
        let report = audit.report(subject: example.file)
        let failed = report.checks.filter { $0.verdict == .fail }.map(\.id)
        #expect(failed == example.fails, "\(report.text(isVerbose: false))")
        #expect(report.hasPassed == example.fails.isEmpty)
    }

    @Test("the page that was published is read with its title, claims and units")
    func publishedPage() throws {
        let example = try #require(Self.examples.first { $0.file == "published-page.md" })
        let table = try Self.table(example)
        #expect(table.rows.map(\.throughput.value) == [5.4, 19.1, 37.6, 62.3, 78.9])
        #expect(table.rows.map(\.endToEnd) == [1.832, 2.095, 2.138, 2.561, 4.087])
        #expect(table.rows.map(\.firstPreview) == [1.267, 1.273, 1.281, 1.294, 1.312])
        #expect(table.rows.map { $0.errors?.value } == [0, 0, 0.1, 0.3, 1.7])
        #expect(table.rows.map(\.memory) == [12.4, 12.6, 12.8, 13.1, 13.9])
        #expect(table.claims.map(\.value) == [8.2])
        #expect(table.limits.map(\.meaning) == [.firstPreview])
        #expect(table.limits.map(\.limit) == [1.3])
        #expect(table.claimedDeviation == 0.008)
        #expect(table.hold == 120)
        // The same findings as those of the table with units in its titles.
        let report = TableAudit(table).report(subject: "page")
        let other = try TableAuditTests.report()
        for check in other.checks where check.id != .a20 {
            #expect(report[check.id]?.findings.map(\.text) == check.findings.map(\.text))
        }
        let title = try #require(report[.a20]).findings
        #expect(title.map(\.verdict) == [.fail, .warn])
        #expect(title[0].text.contains("\"QPS 8.2\" is nowhere in the table"))
        #expect(title[1].text.contains("at most 1312 ms, 0.9 % more"))
    }

    @Test(
        "a column without unit or meaning is named, with what to do",
        arguments: [
            ("| N | QPS | latency |\n| 1 | 2 | 3 |", "--column 'latency=mean-latency:ms'"),
            ("| users | speed | latency (ms) |\n| 1 | 2 | 3 |", "--column TITLE=MEANING"),
            ("| users | speed (it/s) | latency (ms) |\n| 1 | 2 | 3 |", "--steps"),
            ("| users | QPS | latency (ms) |\n| 1 | 2 | 3 parsecs |", "unknown unit"),
            ("| users | QPS | latency (ms) |\n| - | OOM | 3 |", "No row"),
        ])
    func refusals(text: String, message: String) {
        let error = #expect(throws: ResultError.self) { try PublishedTable(text: text) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test(
        "a choice that cannot be read says what is expected",
        arguments: [
            ("latency", "Expected TITLE=MEANING"), ("a=speed", "Expected a meaning out of users"),
            ("a=users:ms", "is not a unit of users"), ("a=errors:ms", "% or share"),
        ])
    func choices(text: String, message: String) {
        let error = #expect(throws: ResultError.self) { try ColumnChoice(text) }
        #expect(error?.description.contains(message) == true)
    }

    @Test(
        "numbers are read as the table writes them",
        arguments: [
            ("0.54", "1,832", 0.54, 1.832), ("0,54", "1.832", 0.54, 1.832),
            ("0.54", "1 832", 0.54, 1.832), ("0.54", "1'832", 0.54, 1.832),
            ("5.4e-1", "1.8k", 0.54, 1.8), ("~0.54", "1832 ± 12", 0.54, 1.832),
            ("**0.54**", "1832 (1700-1900)", 0.54, 1.832), ("≈0.54", "1832 [12]", 0.54, 1.832),
        ])
    func numbers(rate: String, latency: String, x: Double, r: Double) throws {
        let table = try PublishedTable(
            text: "| users | img/s | latency (ms) |\n|---|---|---|\n| 1 | \(rate) | \(latency) |")
        #expect(abs((table.rows.first?.throughput.value ?? 0) - x) < 1e-9)
        #expect(abs((table.rows.first?.endToEnd ?? 0) - r) < 1e-9)
    }
}
