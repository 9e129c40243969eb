// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

@Suite struct EvidenceTests {
    @Test("lines of inkstone serve in both formats, and of nginx")
    func logLines() throws {
        let combined = try #require(
            AccessLogLine(
                #"127.0.0.1 - - [25/Nov/2026:17:20:00 +0000] "POST /v1/images/generations?x=1 HTTP/1.1" 200 31337 "-" "curl/8.5.0 \x22q\x22" rt=0.512 urt=0.508 id=req-9d2c msec=1795627200.123 code=ok q=0.001 run=0.507 n=1 steps=8 size=128x128 model=emoji-nano trace=-"#
            ))
        #expect(combined.id == "req-9d2c" && combined.path == "/v1/images/generations")
        #expect(combined.status == 200 && combined.bytes == 31_337 && combined.method == "POST")
        #expect(combined.requestSeconds == 0.512 && combined.time == 1_795_627_200.123)
        #expect(combined.code == "ok")
        let json = try #require(
            AccessLogLine(
                #"{"bytes":31337,"code":"ok","method":"POST","msec":1795627200.123,"path":"/v1/images/generations","request_id":"req-9d2c","request_time":0.512,"status":200}"#
            ))
        #expect(json == combined)
        let nginx = try #require(
            AccessLogLine(
                #"127.0.0.1 - bob [25/Nov/2026:17:20:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "x" rt=1.000 id=7"#
            ))
        #expect(nginx.code == nil && nginx.time == nil && nginx.requestSeconds == 1)
    }

    @Test(
        "malformed lines of a log are skipped",
        arguments: [
            "", "garbage", "{", "{}",
            #"1.2.3.4 - - [x] "GET / HTTP/1.1" 200 5 "-" "x" rt=1.0 id=-"#,
            #"1.2.3.4 - - [x] "GET / HTTP/1.1" abc 5 "-" "x" rt=1.0 id=1"#, "\"\"\"\"\"\"\"\"",
        ])
    func noLines(text: String) { #expect(AccessLogLine(text) == nil) }

    @Test("metrics are read with labels, escapes and exponents")
    func metrics() {
        let snapshot = MetricsSnapshot(
            text: """
                # HELP a_total words
                # TYPE a_total counter
                a_total{route="/x",code="o\\"k,}"} 3
                a_total{route="/y",code="ok"} 4e2 1700000000
                plain 1.5
                broken{route="/x
                another nothing
                """)
        #expect(snapshot.sum("a_total") == 403)
        #expect(snapshot.sum("a_total", where: ["route": "/x"]) == 3)
        #expect(snapshot.samples.first?.labels["code"] == "o\"k,}")
        #expect(snapshot.sum("plain") == 1.5)
        #expect(snapshot.sum("missing") == nil && snapshot.sum("another") == nil)
        #expect(snapshot.values(of: "route", in: "a_total") == ["/x", "/y"])
        let gain = MetricsDifference(before: MetricsSnapshot(text: "plain 1"), after: snapshot)
        #expect(gain.gain("plain") == 0.5)
        #expect(gain.gain("a_total") == 403)
        #expect(gain.gain("missing") == nil)
    }

    /// Writes a simulated run as the load tester would.
    static func write(_ run: RunEvidence, to folder: ResultFolder) throws {
        var manifest = run.manifest
        if let probes = run.probes { try write(probes, folder.probes) }
        manifest.levels = run.levels.map(\.visit)
        try folder.write(manifest)
        for level in run.levels { try write(level, folder.level(level.visit)) }
    }

    private static func write(_ level: LevelEvidence, _ place: LevelFolder) throws {
        var lines = Data()
        for record in level.records {
            lines += try RecordCoding.line(record)
            lines.append(UInt8(ascii: "\n"))
        }
        try ResultFolder.write(lines, to: place.requestsFile)
        if var result = level.result {
            result.figures = nil
            try place.write(result)
        }
        try place.write(level.series)
        if let metrics = level.metrics {
            for (snapshot, file) in [
                (metrics.before, place.metricsBeforeFile), (metrics.after, place.metricsAfterFile),
            ] {
                let text = snapshot.samples.map { sample in
                    let labels = sample.labels.map { "\($0.key)=\"\($0.value)\"" }.sorted()
                    return "\(sample.name){\(labels.joined(separator: ","))} \(sample.value)"
                }
                try ResultFolder.write(Data(text.joined(separator: "\n").utf8), to: file)
            }
        }
        if let anchor = level.result?.begin {
            let text = level.records.map { Simulation.line($0, anchor: anchor, wire: 0.3) }
            try ResultFolder.write(Data(text.joined(separator: "\n").utf8), to: place.accessLogFile)
        }
    }

    static func withFolder<T>(_ work: (ResultFolder) throws -> T) throws -> T {
        let url = FileManager.default.temporaryDirectory.appending(
            path: "imgbench-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: url) }
        return try work(ResultFolder(url))
    }

    @Test("a result folder has every file and the same audit as the records in memory")
    func folder() throws {
        let run = SimulatedRun.evidence(users: [1, 2, 4, 8], hold: 40)
        try Self.withFolder { folder in
            try Self.write(run, to: folder)
            let reporter = try RunReporter(folder)
            try reporter.write()
            #expect(reporter.audit.verdict == .pass, "\(reporter.audit.text(isVerbose: false))")
            for file in [
                folder.auditFile, folder.summaryFile, folder.tableFile, folder.tableCSVFile,
                folder.reportFile, folder.level(run.levels[0].visit).histogramsFile,
            ] {
                let text = try String(contentsOf: file, encoding: .utf8)
                #expect(!text.isEmpty)
                #expect(
                    text.firstMatch(of: /(?i)[^a-z](nan|inf|infinity)[^a-z]/) == nil, "\(file.path)"
                )
            }
            let summary = try RunSummary.read(folder)
            #expect(summary == reporter.summary)
            #expect(summary.levels.map(\.users) == [1, 2, 4, 8])
            // Read again, it has figures, a headline and the same verdict.
            let again = try RunReporter(folder)
            #expect(again.evidence.headline == summary.headline)
            #expect(again.audit == reporter.audit)
            #expect(again.evidence.levels[0].result?.figures == run.levels[0].figures)
        }
    }

    @Test("a run that was killed at any point is reported as partial")
    func killed() throws {
        let run = SimulatedRun.evidence(users: [1, 2, 4], hold: 20)
        try Self.withFolder { folder in
            try Self.write(run, to: folder)
            var manifest = run.manifest
            manifest.status = .running
            manifest.finished = nil
            try folder.write(manifest)
            let last = folder.level(run.levels[2].visit)
            try FileManager.default.removeItem(at: last.resultFile)
            try FileManager.default.removeItem(at: last.seriesFile)
            // An incomplete line, as after a crash.
            let lines = try Data(contentsOf: last.requestsFile)
            try lines.prefix(lines.count / 2).write(to: last.requestsFile)
            let reporter = try RunReporter(folder)
            try reporter.write()
            #expect(reporter.summary.isPartial)
            #expect(reporter.markdown.contains("PARTIAL"))
            #expect(reporter.html().contains("Partial: the run was interrupted"))
            // Before the first request.
            for level in run.levels {
                try Data().write(to: folder.level(level.visit).requestsFile)
            }
            let empty = try RunReporter(folder)
            try empty.write()
            #expect(empty.summary.isPartial)
        }
    }

    @Test("a folder that is not a result is refused in one sentence")
    func noResult() throws {
        try Self.withFolder { folder in
            let error = #expect(throws: ResultError.self) { try RunReporter(folder) }
            #expect(error?.description.contains("has no manifest.json") == true)
        }
    }
}
