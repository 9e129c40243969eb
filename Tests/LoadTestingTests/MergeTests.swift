// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Several load generators that share a plan, and the merge of their results.
@Suite(.serialized) struct MergeTests {
    private static func scenario(_ levels: [LevelSpec], url: String) -> Scenario {
        var mix = RequestMix(
            prompt: "{n}", sizes: [Weighted(.init(width: 64, height: 64))])
        mix.keywords = ["n": (0..<50).map(String.init)]
        mix.timeout = 1
        var target = Scenario.Target(url: url)
        target.metrics = "/metrics"
        var scenario = Scenario(name: "parts", target: target, request: mix, levels: levels)
        scenario.hold = 2
        scenario.settle.minimum = 0.2
        scenario.settle.maximum = 0.5
        scenario.cooldown = 0.1
        scenario.probes = false
        return scenario
    }

    /// Runs a scenario with this number of generators at the same time; returns the folders of their results.
    private static func run(
        _ levels: [LevelSpec], parts: Int, root: URL, change: (inout Scenario) -> Void = { _ in }
    ) async throws -> [ResultFolder] {
        var settings = MockSettings()
        settings.serviceTime = 0.05
        settings.devices = 4
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        settings.accessLog = root.appending(path: "access.log").path
        let server = try await MockServer(settings)
        var scenario = scenario(levels, url: server.url)
        scenario.target.accessLog = settings.accessLog
        change(&scenario)
        let plan = try RunPlan(scenario)
        let start = Date().addingTimeInterval(0.5)
        var folders: [ResultFolder] = []
        try await withThrowingTaskGroup(of: (Int, ResultFolder).self) { group in
            for number in 1...parts {
                let part = try plan.part(
                    try #require(PlanPart("\(number)/\(parts)")), start: start)
                group.addTask {
                    let run = LoadRun(
                        plan: part, resultsIn: root.appending(path: "\(number)").path,
                        scenarioText: "version: 1\n", arguments: ["imgbench"])
                    _ = try await run.run()
                    return (number, run.folder)
                }
            }
            var found: [(Int, ResultFolder)] = []
            for try await result in group { found.append(result) }
            folders = found.sorted { $0.0 < $1.0 }.map(\.1)
        }
        await server.stop()
        return folders
    }

    private static func withRoot(_ work: (URL) async throws -> Void) async throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "imgbench-\(UUID())")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: root) }
        try await work(root)
    }

    @Test("parts cover a plan, each request once, and sessions stay together")
    func dealing() throws {
        for count in 1...4 {
            for turns in [1, 3] {
                var seen: [Int] = []
                for number in 1...count {
                    let part = try #require(PlanPart("\(number)/\(count)"))
                    let numbering = PlanNumbering(turns: turns, part: part)
                    let positions = (0..<30).map(numbering.position)
                    #expect(positions.map(numbering.number) == Array(0..<30))
                    for start in stride(from: 0, to: 30, by: turns) {
                        #expect(positions[start] % turns == 0)
                    }
                    seen += positions
                }
                #expect(seen.sorted() == Array(0..<(30 * count)))
            }
            let shares = (1...count).map { PlanPart("\($0)/\(count)")?.share(of: 10) ?? 0 }
            #expect(shares.reduce(0, +) == 10)
        }
        for text in ["0/2", "3/2", "1", "1/2/3", "a/b", "1/65", "-1/2"] {
            #expect(PlanPart(text) == nil, "\(text)")
        }
    }

    @Test("levels that depend on what was measured before cannot be divided")
    func refusals() throws {
        let part = try #require(PlanPart("1/2"))
        let levels: [[LevelSpec]] = [
            [.offline(batches: [4])],
            [
                .closed(users: [1, 2]),
                .open(arrivals: .poisson, rates: [.ofKnee(0.8)], shape: nil, maximumInFlight: 9),
            ],
        ]
        for list in levels {
            let plan = try RunPlan(Self.scenario(list, url: "http://127.0.0.1:1"))
            #expect(throws: ScenarioError.self) { try plan.part(part, start: Date()) }
        }
    }

    @Test("two generators send the plan of one: no request twice, and the same figures")
    func closedLoops() async throws {
        try await Self.withRoot { root in
            let one = try await Self.run(
                [.closed(users: [4])], parts: 1, root: root.appending(path: "one"))
            let two = try await Self.run(
                [.closed(users: [4])], parts: 2, root: root.appending(path: "two"))
            let folder = ResultFolder(path: root.appending(path: "merged").path)
            let manifest = try RunMerge(two).write(to: folder)
            #expect(manifest.planDigest == (try one[0].manifest().planDigest))
            #expect(manifest.part == nil && manifest.parts?.count == 2)
            let merged = try RunReporter(folder)
            let records = merged.evidence.levels[0].load
            #expect(Set(records.map(\.sequence)).count == records.count)
            let apart = try two.reduce(0) { sum, part in
                sum + (try part.level(manifest.levels[0]).requests().count { $0.purpose == .load })
            }
            #expect(records.count == apart)
            #expect(Set(records.compactMap(\.user)) == [0, 1, 2, 3])
            // The requests are those of the one generator, as far as both got.
            let single = try RunReporter(one[0]).evidence.levels[0]
            let known = Dictionary(
                single.load.map { ($0.sequence, $0.parameters) },
                uniquingKeysWith: { first, _ in first })
            for record in records {
                if let parameters = known[record.sequence] {
                    #expect(record.parameters == parameters)
                }
            }
            for id in [CheckID.a1, .a3, .a5, .a6, .a13] {
                let check = try #require(merged.audit[id])
                #expect(check.verdict == .pass, "\(id) \(check.findings.map(\.text))")
            }
            let rate = try #require(merged.evidence.levels[0].figures?.throughput)
            let alone = try #require(RunEvidence.computed(one[0]).levels[0].figures?.throughput)
            let (low, high) = (try #require(rate.low), try #require(rate.high))
            let (first, last) = (try #require(alone.low), try #require(alone.high))
            #expect(low <= last && first <= high, "\(rate) \(alone)")
        }
    }

    @Test("the arrivals of an open level are divided, and each is sent once at its time")
    func openLoops() async throws {
        try await Self.withRoot { root in
            let levels: [LevelSpec] = [
                .open(
                    arrivals: .poisson, rates: [.absolute(30)], shape: nil, maximumInFlight: 60)
            ]
            let parts = try await Self.run(levels, parts: 3, root: root)
            let folder = ResultFolder(path: root.appending(path: "merged").path)
            let manifest = try RunMerge(parts).write(to: folder)
            let level = folder.level(manifest.levels[0])
            let records = try level.requests().filter { $0.purpose == .load }
            let sequences = records.map(\.sequence).sorted()
            #expect(Set(sequences).count == sequences.count)
            // The generators stop within milliseconds of each other, so only the last arrivals can be missing.
            let last = try #require(sequences.last)
            let missing = Set(0...last).subtracting(sequences)
            #expect(missing.allSatisfy { $0 > last - 4 }, "\(missing)")
            let account = try level.result().accounting
            #expect(account.isBalanced && account.dropped == 0)
            #expect(account.sent == records.count)
        }
    }

    @Test("parts that do not belong together are refused")
    func strangers() async throws {
        try await Self.withRoot { root in
            let two = try await Self.run(
                [.closed(users: [2])], parts: 2, root: root.appending(path: "a")
            ) { $0.hold = 0.5 }
            #expect(throws: ResultError.self) { try RunMerge([two[0]]) }
            #expect(throws: ResultError.self) { try RunMerge([two[0], two[0]]) }
            // The same part under another number: its requests are there twice.
            var manifest = try two[0].manifest()
            manifest.part = PlanPart("2/2")
            let copy = ResultFolder(path: root.appending(path: "copy").path)
            try FileManager.default.copyItem(at: two[0].url, to: copy.url)
            try ResultFolder.write(
                try RecordCoding.document(manifest), to: copy.manifestFile)
            let error = #expect(throws: ResultError.self) {
                try RunMerge([two[0], copy]).write(
                    to: ResultFolder(path: root.appending(path: "m").path))
            }
            #expect(error?.description.contains("was sent by two parts") == true)
            manifest.planDigest = "other"
            try ResultFolder.write(
                try RecordCoding.document(manifest), to: copy.manifestFile)
            let other = #expect(throws: ResultError.self) { try RunMerge([two[0], copy]) }
            #expect(other?.description.contains("has another plan") == true)
        }
    }

    @Test("times are moved to the clock of the first part")
    func clocks() async throws {
        try await Self.withRoot { root in
            let two = try await Self.run(
                [.closed(users: [2])], parts: 2, root: root
            ) { $0.hold = 0.8 }
            // The clock of the second part has another origin.
            let second = try two[1].manifest()
            let visit = second.levels[0]
            let shift: Int64 = 5_000_000_000
            var moved = second
            moved.clock.monotonic += shift
            try ResultFolder.write(try RecordCoding.document(moved), to: two[1].manifestFile)
            var records = try two[1].level(visit).requests()
            for index in records.indices {
                records[index].times.send += shift
                records[index].times.planned += shift
                records[index].times.end? += shift
                records[index].times.image? += shift
            }
            try ResultFolder.write(
                try RecordCoding.lines(records), to: two[1].level(visit).requestsFile)
            var result = try two[1].level(visit).result()
            result.phases = Dictionary(
                uniqueKeysWithValues: try two[1].level(visit).result().phases.map { name, range in
                    (name, range.moved(by: shift))
                })
            try ResultFolder.write(
                try RecordCoding.document(result), to: two[1].level(visit).resultFile)
            let folder = ResultFolder(path: root.appending(path: "merged").path)
            let manifest = try RunMerge(two).write(to: folder)
            let held = try #require(try folder.level(manifest.levels[0]).result().held)
            #expect(held.seconds > 0.6 && held.seconds < 1)
        }
    }
}

extension RunEvidence {
    /// The evidence of a folder with its figures.
    static func computed(_ folder: ResultFolder) throws -> RunEvidence {
        var evidence = try RunEvidence(folder)
        evidence.compute()
        return evidence
    }
}

extension TimeRange {
    fileprivate func moved(by shift: Int64) -> TimeRange {
        var copy = self
        copy.start += shift
        copy.end += shift
        return copy
    }
}
