// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

@Suite struct ReportTests {
    /// One of each layer; `INKSTONE_UPDATE_SNAPSHOTS=1` replaces the file.
    @Test("the plot equals the golden file, byte by byte")
    func golden() throws {
        let plot = Plot(
            title: "All <layers> & \"signs\"", x: PlotAxis("users", around: [1, 2, 4, 8]),
            y: PlotAxis("img/s", around: [0, 3.2]),
            layers: [
                .histogram(edges: [0, 1, 2, 3], heights: [1, 2.5, 0.5], color: 7),
                .step([.init(0, 0.2), .init(4, 0.8), .init(8, 0.4)], color: 3, label: "step"),
                .line(
                    [.init(1, 1), .init(4, 3), .init(8, 3.2)], color: 0, isDashed: false,
                    label: "line"),
                .line([.init(0, 3), .init(8, 3)], color: 5, isDashed: true, label: "bound"),
                .intervals([(x: 4, low: 2.7, high: 3.3)], color: 0),
                .scatter([.init(1, 1), .init(4, 3)], color: 1, label: nil),
                .boxes(
                    [
                        .init(
                            x: 6, low: 0.5, lowerQuarter: 1, median: 1.5, upperQuarter: 2, high: 3)
                    ], color: 0),
                .segments([.init(row: 1, start: 2, end: 5, color: 3)], rows: 4),
                .rule(x: 4, text: "knee at 4"),
            ])
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Golden/plot.svg")
        if ProcessInfo.processInfo.environment["INKSTONE_UPDATE_SNAPSHOTS"] == "1" {
            try ResultFolder.write(Data((plot.svg + "\n").utf8), to: file)
        }
        #expect(plot.svg + "\n" == (try String(contentsOf: file, encoding: .utf8)))
    }

    @Test("the plot is well-formed and has no NaN")
    func wellFormed() {
        let hostile = Plot(
            title: "&<>\u{1}", x: PlotAxis("<", around: [.nan, .infinity, 3]),
            y: PlotAxis("&", around: []),
            layers: [
                .line(
                    [.init(.nan, 1), .init(.infinity, 2)], color: 0, isDashed: false, label: "a\"b"),
                .scatter([.init(1e300, -1e300)], color: 1, label: nil),
            ])
        let parser = XMLChecker()
        #expect(parser.isWellFormed(hostile.svg))
        #expect(!hostile.svg.lowercased().contains("nan") && !hostile.svg.contains("inf"))
    }

    @Test("ticks are round numbers around the values")
    func axes() {
        let axis = PlotAxis("x", around: [0, 87])
        #expect(axis.ticks.map(\.text) == ["0", "20", "40", "60", "80", "100"])
        #expect(PlotAxis("x", around: [0.001, 0.0042]).ticks.map(\.text).last == "0.005")
        #expect(PlotAxis("x", around: [5, 5]).ticks.count > 1)
        let decades = PlotAxis("x", around: [1, 300], scale: .logarithmic)
        #expect(decades.ticks.map(\.text) == ["1", "2", "5", "10", "20", "50", "100", "200"])
    }

    static let run = SimulatedRun.evidence(users: [1, 2, 4, 8], hold: 40)

    static func page(_ run: RunEvidence) throws -> (html: String, reporter: RunReporter) {
        try EvidenceTests.withFolder { folder in
            try EvidenceTests.write(run, to: folder)
            let reporter = try RunReporter(folder)
            return (reporter.html(), reporter)
        }
    }

    @Test("the page is self-contained, well-formed and in order")
    func html() throws {
        let html = try Self.page(Self.run).html
        #expect(html.firstMatch(of: /(src|href)="(https?:|\/)/) == nil)
        #expect(!html.contains("<script") && !html.contains("@import") && !html.contains("url("))
        let order = [
            "The audit passed.", "class=\"headline\"", "Levels", "Throughput and latency",
            "Little's bound", "How long requests take", "Requests of level", "Memory over time",
            "Errors", "<h2>Audit", "Provenance",
        ]
        var rest = html[...]
        for part in order {
            let escaped = part.replacing("'", with: "&#39;")
            let found = try #require(rest.range(of: escaped), "\(part)")
            rest = rest[found.upperBound...]
        }
        for svg in html.matches(of: /<svg.*?<\/svg>/) {
            #expect(XMLChecker().isWellFormed(String(svg.output)))
        }
        #expect(html.contains("prefers-color-scheme:dark") && html.contains("@media print"))
    }

    @Test("a failed audit is a red banner")
    func failed() throws {
        var run = Self.run
        let digest = run.levels[2].records[6].image?.pixelDigest
        run.levels[1].records[5].image?.pixelDigest = digest
        let (html, reporter) = try Self.page(run)
        #expect(!reporter.audit.hasPassed)
        #expect(html.contains("banner fail") && html.contains("must not be published"))
        // The headline is the worst finding in words, without a figure that could pass for a result.
        let words = "Not a result: the audit failed. Different requests returned the same image"
        #expect(reporter.summary.headline?.text.hasPrefix(words) == true)
        #expect(reporter.summary.headline?.throughput == nil)
        #expect(html.contains("class=\"headline refused\"") && html.contains(words))
        #expect(!html.contains("highest throughput"))
        #expect(
            reporter.markdown.hasPrefix("**Not a result: the audit failed.** Different requests"))
        #expect(reporter.audit.text().split(separator: "\n")[1].hasPrefix("Different requests"))
    }

    @Test("every check has words for its failure and a place in the order of severity")
    func severity() throws {
        #expect(Set(CheckID.bySeverity) == Set(CheckID.allCases))
        #expect(CheckID.bySeverity.count == CheckID.allCases.count)
        #expect(Set(CheckID.allCases.map(\.failure)).count == CheckID.allCases.count)
        #expect(try Self.page(Self.run).reporter.audit.worst == nil)
    }

    @Test("text of a server cannot break the page")
    func hostile() throws {
        var run = Self.run
        run.manifest.target.model = "<script>alert(1)</script>"
        run.levels[0].records[3].error = .http5xx
        run.levels[0].records[3].errorDetail = "\"><img src=x onerror=alert(1)>"
        let html = try Self.page(run).html
        #expect(!html.contains("<script") && !html.contains("<img src=x"))
    }

    @Test("the table has n, interval or reason, device, size, steps, precision and commit")
    func markdown() throws {
        let reporter = try Self.page(Self.run).reporter
        let lines = reporter.markdown.split(separator: "\n").map(String.init)
        #expect(lines[0].hasPrefix("| users | X img/s (95 %) | n | E2E ms mean (95 %) |"))
        #expect(lines[1].hasPrefix("|---:|"))
        #expect(lines.filter { $0.hasPrefix("| ") }.count == 5)
        for line in lines[2...5] {
            #expect(line.split(separator: "|").count == lines[0].split(separator: "|").count)
        }
        for word in [
            "device 2 x measured", "size 128x128", "evaluations 8", "precision f32",
            "commit 0123456789ab",
            "p99: n=", "seed 20260101",
        ] { #expect(reporter.markdown.contains(word), "\(word)") }
        let csv = reporter.csv.split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        #expect(csv.count == 5 && csv.allSatisfy { $0.count == csv[0].count })
    }

    @Test("repeats have a mean over visits, and drift is reported")
    func repeats() throws {
        var run = SimulatedRun.evidence(users: [4], hold: 40)
        var second = Simulation(
            users: 4, service: 0.5, hold: 40, seed: 3, level: "closed-004", visit: 2,
            start: 200_000_000_000
        ).evidence()
        second.visit.visit = 2
        run.levels.append(second)
        run.compute()
        let summary = RunSummary(run, audit: RunAudit(run).report(), knee: nil)
        let repeated = try #require(summary.repeats.first)
        #expect(repeated.visits == 2 && repeated.isDrifting)
        #expect(repeated.throughput.n == 2 && repeated.throughput.low != nil)
        #expect(try #require(repeated.variation) > 0.05)
    }
}

/// Whether text is well-formed XML: tags that close, attributes in quotes.
struct XMLChecker {
    func isWellFormed(_ text: String) -> Bool {
        var open: [Substring] = []
        var rest = text[...]
        while let start = rest.firstIndex(of: "<") {
            guard let end = rest[start...].firstIndex(of: ">") else { return false }
            let tag = rest[rest.index(after: start)..<end]
            if tag.contains("<") { return false }
            let name = tag.drop { $0 == "/" }.prefix { $0.isLetter || $0.isNumber }
            if name.isEmpty || !tag.count(where: { $0 == "\"" }).isMultiple(of: 2) { return false }
            if tag.hasPrefix("/") {
                guard open.popLast() == name else { return false }
            } else if !tag.hasSuffix("/") {
                open.append(name)
            }
            rest = rest[rest.index(after: end)...]
        }
        return open.isEmpty && text.firstMatch(of: /&(?!amp;|lt;|gt;|quot;|#39;)/) == nil
    }
}
