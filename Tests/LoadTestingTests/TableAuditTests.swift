// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Every figure of an example that was computed by hand.
@Suite struct TableAuditTests {
    static let file = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Benchmarks/tables/published.md")

    static func report() throws -> AuditReport {
        TableAudit(try PublishedTable(contentsOf: file)).report(subject: "published")
    }

    /// The sentences of a check.
    static func text(_ id: CheckID) throws -> String {
        let check = try #require(try report()[id])
        return check.findings.map(\.text).joined(separator: "\n")
    }

    @Test("the table is read with its claims")
    func reading() throws {
        let table = try PublishedTable(contentsOf: Self.file)
        #expect(table.rows.map(\.users) == [1, 4, 8, 16, 32])
        #expect(table.rows.map(\.throughput.value) == [5.4, 19.1, 37.6, 62.3, 78.9])
        #expect(table.rows.map(\.endToEnd) == [1.832, 2.095, 2.138, 2.561, 4.087])
        #expect(table.rows.last?.firstPreview == 1.312)
        #expect(table.rows.map { $0.errors?.decimals } == [0, 0, 1, 1, 1])
        #expect(table.hold == 120)
        #expect(table.claimedDeviation == 0.008)
        #expect(table.claims.map(\.value) == [8.2])
    }

    @Test("A1: the products, bounds and factors of each level")
    func littlesLaw() throws {
        let check = try #require(try Self.report()[.a1])
        let expected = [
            "X R = 9.89 in flight of 1; at most N/R = 0.546 img/s, the table has 9.89x that (edge slack 1.5 %)",
            "X R = 40.0 in flight of 4; at most N/R = 1.909 img/s, the table has 10.00x that (edge slack 1.7 %)",
            "X R = 80.4 in flight of 8; at most N/R = 3.742 img/s, the table has 10.05x that (edge slack 1.8 %)",
            "X R = 159.6 in flight of 16; at most N/R = 6.248 img/s, the table has 9.97x that (edge slack 2.1 %)",
            "X R = 322.5 in flight of 32; at most N/R = 7.830 img/s, the table has 10.08x that (edge slack 3.4 %)",
        ]
        #expect(check.findings.prefix(5).map(\.text) == expected)
        #expect(check.findings.prefix(5).allSatisfy { $0.verdict == .fail })
        let readings = check.findings.dropFirst(5).map(\.text).joined(separator: "\n")
        #expect(readings.contains("9.9-10.1 on every row"))
        #expect(readings.contains("at most 0.55, 1.91, 3.74, 6.25, 7.83"))
        #expect(readings.contains("10 to a request (8 previews, a start and an end)"))
        #expect(readings.contains("10, 40, 80, 160, 320 were in flight"))
    }

    @Test("A2: the crossing is far from the knee, and fits it after the factor")
    func asymptoticBound() throws {
        let text = try Self.text(.a2)
        #expect(text.contains("R(1) X_max = 145 users, but the curve bends between 16 and 32"))
        #expect(text.contains("off by 6.0x"))
        #expect(text.contains("at its bound N/R it is 14.3"))
        #expect(text.contains("145 against 160-320"))
        #expect(try Self.report()[.a2]?.verdict == .fail)
    }

    @Test("A11 and A12: the operations of the rate")
    func roofline() throws {
        let rate = try Self.text(.a11)
        for figure in [
            "At 1024x1024 (456 TFLOP an image) the table's best 78.9 img/s need 36.0 PFLOP/s: 36 H100-SXM in BF16, 218 RTX-4090",
            "the title's 8.20 img/s need 3.74 PFLOP/s: 3.8 H100-SXM in BF16, 1.9 in FP8",
            "At 512x512 (106 TFLOP an image) the table's best 78.9 img/s need 8.4 PFLOP/s: 8.5 H100-SXM",
            "the title's 8.20 img/s need 0.87 PFLOP/s: 88 % of one H100-SXM",
            "at 25 % of one H100-SXM: at most 4x is left for batches, the table claims 14.6x from N=1 to 32 (14.3x at its bounds)",
        ] { #expect(rate.contains(figure), "\(figure)") }
        #expect(try Self.report()[.a11]?.verdict == .fail)
        let latency = try Self.text(.a12)
        #expect(
            latency.contains("1.832 s at 1024x1024 and 8 steps is 25 % of the peak of one H100-SXM")
        )
        #expect(latency.contains("151 % of the peak of one RTX-4090"))
        #expect(try Self.report()[.a12]?.verdict == .pass)
    }

    @Test("A15: which error rates are possible")
    func resolution() throws {
        let check = try #require(try Self.report()[.a15])
        let text = check.findings.map(\.text).joined(separator: "\n")
        #expect(
            text.contains(
                "449 images in 120 s at the bound, one failure is 0.22 %; 0.1 % is unreachable (0 is 0.0, 1 is 0.2)"
            ))
        // 3 of 4512 is 0.066 %, which prints as 0.1 as well.
        #expect(text.contains("of the table's own 4512 it is 3-6"))
        #expect(text.contains("0.3 % is 2 of 750"))
        #expect(text.contains("1.7 % is 16 of 940"))
        #expect(text.contains("of 65 images one is 1.5 %, so only equal counts can meet it"))
        #expect(check.findings.map(\.verdict) == [.pass, .pass, .fail, .pass, .pass, .warn])
    }

    @Test("A16: a first preview that does not depend on the load")
    func stages() throws {
        let text = try Self.text(.a16)
        for figure in [
            "rises by 3.6 % (1267 to 1312 ms)", "from 565 to 2775 ms (4.9x)",
            "10.3 requests are before their first preview and 21.7 after it",
            "from 0.69 to 0.32", "after step 5 or 6 at N=1 and before step 3 at N=32",
        ] { #expect(text.contains(figure), "\(figure)") }
        #expect(try Self.report()[.a16]?.verdict == .warn)
    }

    @Test("A17: weights and rows against the memory reported")
    func memory() throws {
        let text = try Self.text(.a17)
        for figure in [
            "12.3 + 8.0 + 0.2 = 20.5 GB, the table has 12.4 GB",
            "1.5 GB for 31 more requests is 48 MB each", "about 32 MB for the residual stream",
            "170 MB for the two SwiGLU halves", "throughput says 14x",
        ] { #expect(text.contains(figure), "\(figure)") }
        #expect(try Self.report()[.a17]?.verdict == .warn)
    }

    @Test("A20: the number of the title does not follow from the table")
    func title() throws {
        let text = try Self.text(.a20)
        for figure in [
            "9.6x below the table's 78.9", "deviates by 862 %", "4.7 % above the bound 7.83",
            "beyond the 3.4 % edge slack", "R = 3902 ms at N = 32", "3.9 % above 78.9/10",
        ] { #expect(text.contains(figure), "\(figure)") }
        #expect(try Self.report()[.a20]?.verdict == .fail)
    }

    @Test("missing facts are listed")
    func missing() throws {
        let report = try Self.report()
        #expect(!report.hasPassed)
        #expect(report.missing.first == "percentiles (only means)")
        #expect(report.missing.last == "levels 2 and 24")
        for name in [
            "intervals", "sample counts", "device", "size", "steps", "warm-up", "error classes",
        ] {
            #expect(report.missing.contains(name))
        }
        #expect(report[.a19]?.verdict == .notApplicable)
    }

    /// A plausible table: throughput at its bound.
    static let honest = """
        # Load test: QPS 7.83

        | N | QPS | mean (ms) | TTFT (ms) | Errors (%) | VRAM (GB) |
        |---|---|---|---|---|---|
        | 1 | 0.54 | 1832 | 1267 | 0 | 22.4 |
        | 8 | 3.73 | 2138 | 1431 | 0 | 28.8 |
        | 16 | 6.23 | 2561 | 1794 | 0 | 34.1 |
        | 32 | 7.82 | 4087 | 2912 | 1.7 | 44.9 |
        """

    @Test("a plausible table passes every check that it has the numbers for")
    func clean() throws {
        var audit = TableAudit(try PublishedTable(text: Self.honest))
        audit.hold = 120
        audit.device = .h100
        audit.devices = 8
        audit.size = (1024, 1024)
        let report = audit.report(subject: "honest")
        for check in report.checks {
            #expect([.pass, .notApplicable].contains(check.verdict), "\(check)")
        }
        #expect(report.hasPassed)
    }

    @Test("Markdown, CSV and JSON of one table are the same")
    func formats() throws {
        let csv = """
            # QPS 8.2, hold 2 minutes, deviation < 0.8 %
            Concurrency,QPS,Mean E2E (ms),TTFT (ms),Errors (%),VRAM (GB)
            1,5.4,1832,1267,0,12.4
            """
        let json = """
            {"title": "QPS 8.2, hold 2 minutes, deviation < 0.8 %", "rows": [{"concurrency": 1,
            "qps": 5.4, "mean e2e ms": 1832, "ttft ms": 1267, "errors %": 0, "vram GB": 12.4}]}
            """
        let markdown = """
            QPS 8.2, hold 2 minutes, deviation < 0.8 %

            | Concurrency | QPS | Mean E2E (ms) | TTFT (ms) | Errors (%) | VRAM (GB) |
            |--:|--:|:--|---|---|---|
            | 1 | 5.4 | 1832 | 1267 | 0 | 12.4 |
            """
        let tables = [
            try PublishedTable(text: csv), try PublishedTable(text: json),
            try PublishedTable(text: markdown),
        ]
        for table in tables {
            #expect(table.rows == tables[0].rows)
            #expect(table.hold == 120 && table.claimedDeviation == 0.008)
            #expect(table.claims.map(\.value) == [8.2])
        }
    }

    @Test(
        "an invalid table is refused in one sentence",
        arguments: [
            ("no table at all", "Expected a table with a title row"),
            ("| a | b |\n| 1 | 2 |", "The table has no column for users"),
            ("| N | QPS | latency |\n| 1 | 2 | 3 |", "has no unit"),
            ("| N | QPS | latency (ms) |\n| 1 | many | 3 |", "Expected a number in column QPS"),
            ("| N | QPS | latency (ms) |\n| 1.5 | 2 | 3 |", "Expected users, throughput"),
            ("| N | QPS | latency (ms) |\n| 1 | 2 | 0 |", "a positive latency"),
        ])
    func refusals(text: String, message: String) {
        let error = #expect(throws: ResultError.self) { try PublishedTable(text: text) }
        #expect(error?.description.contains(message) == true)
        #expect(error?.description.contains("\n") == false)
    }
}
