// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// The gate of `imgbench compare`: its chance of a false alarm, and what it detects.
@Suite struct GateTests {
    /// Levels of 1, 4 and 8 users on two devices; equal settings with another seed are two runs of the same server.
    static func run(seed: UInt64, service: Double = 0.4, users: [Int] = [1, 4, 8]) -> RunEvidence {
        var start: Int64 = 1_000_000_000
        var levels: [LevelEvidence] = []
        for count in users {
            let simulation = Simulation(
                users: count, service: service, spread: 0.2, hold: 60,
                seed: seed &* 1_000_003 &+ UInt64(count), level: "closed-\(count)", start: start)
            start += 100_000_000_000
            let visit = LevelVisit(
                level: simulation.level, visit: 1, load: LoadModel(kind: .closed, users: count))
            var result = LevelResult(
                level: visit.level, visit: 1, load: visit.load,
                begin: ClockAnchor(monotonic: 0, unixMicroseconds: 0))
            result.phases[Phase.hold.rawValue] = simulation.held
            levels.append(
                LevelEvidence(visit: visit, result: result, records: simulation.records()))
        }
        var run = RunEvidence(
            manifest: SimulatedRun.manifest(levels.map(\.visit)), levels: levels)
        run.compute()
        return run
    }

    @Test("of 200 pairs of identical runs, no more fail than the stated chance explains")
    func falseAlarms() {
        var strict = 0
        var usual = 0
        for pair in 0..<200 as Range<UInt64> {
            let base = Self.run(seed: 2 * pair + 1)
            let new = Self.run(seed: 2 * pair + 2)
            // Without a practical limit, the p-values alone decide.
            if !RegressionGate(base: base, new: new, chance: 0.05, practical: 0).hasPassed {
                strict += 1
            }
            if !RegressionGate(base: base, new: new).hasPassed { usual += 1 }
        }
        print(
            "false alarms of 200 pairs: \(strict) at 5 % without a practical limit, \(usual) at 1 %"
        )
        // Counts that a chance of 5 % and 1 % exceeds in less than 1 of 100 such sets.
        #expect(strict <= 18, "\(strict) of 200 at 5 %")
        #expect(usual <= 6, "\(usual) of 200 at 1 %")
    }

    @Test("a slowdown of 10 % fails in at least 19 of 20 pairs, a speedup in none")
    func slower() {
        var detected = 0
        var faster = 0
        for pair in 0..<20 as Range<UInt64> {
            let base = Self.run(seed: 1000 + pair)
            let new = Self.run(seed: 5000 + pair, service: 0.44)
            if !RegressionGate(base: base, new: new).hasPassed { detected += 1 }
            if !RegressionGate(base: new, new: base).hasPassed { faster += 1 }
        }
        #expect(detected >= 19, "\(detected) of 20")
        #expect(faster == 0)
    }

    @Test("more failed requests fail the gate")
    func errors() throws {
        let base = Self.run(seed: 7)
        var new = Self.run(seed: 8)
        for index in new.levels[1].records.indices where index.isMultiple(of: 12) {
            new.levels[1].records[index].error = .http5xx
        }
        new.compute()
        let gate = RegressionGate(base: base, new: new)
        #expect(!gate.hasPassed)
        // What failed is not counted as throughput either.
        #expect(gate.rows.filter(\.isWorse).map(\.metric) == [.throughput, .errors])
        #expect(gate.sentence.hasPrefix("Worse: X of closed-4, errors of closed-4."))
        #expect(gate.junit.cases.count { $0.failure != nil } == 2)
    }

    @Test("a level that is missing from the new run fails the gate, and few samples are not tested")
    func missing() {
        let base = Self.run(seed: 3)
        let gate = RegressionGate(base: base, new: Self.run(seed: 4, users: [1, 4]))
        #expect(gate.missing == ["closed-8"] && !gate.hasPassed)
        #expect(gate.markdown.contains("Not measured in the new run: closed-8."))
        var short = base
        for index in short.levels.indices {
            short.levels[index].records = Array(short.levels[index].records.suffix(20))
        }
        short.compute()
        let rows = RegressionGate(base: short, new: short).rows
        #expect(rows.filter { $0.metric != .errors }.allSatisfy { $0.probability == nil })
    }

    @Test("a level that was visited three times is judged by the means of its visits")
    func visits() {
        func visited(_ services: [Double], seed: UInt64) -> RunEvidence {
            var run = Self.run(seed: seed, service: services[0], users: [4])
            for (index, service) in services.dropFirst().enumerated() {
                var level = Self.run(
                    seed: seed + 100 * UInt64(index + 1), service: service, users: [4]
                )
                .levels[0]
                level.visit.visit = index + 2
                run.levels.append(level)
            }
            run.compute()
            return run
        }
        // The visits of the base differ by more than the runs do.
        let base = visited([0.40, 0.46, 0.52, 0.43], seed: 11)
        let new = visited([0.44, 0.50, 0.41, 0.50], seed: 12)
        let gate = RegressionGate(base: base, new: new)
        #expect(gate.rows.count { $0.metric == .endToEnd } == 1)
        #expect(gate.hasPassed)
        let slow = visited([0.80, 0.84, 0.88, 0.82], seed: 13)
        #expect(!RegressionGate(base: base, new: slow).hasPassed)
    }

    @Test("Fisher's tail agrees with sums by hand")
    func fisher() {
        // 3 of 4 marked among 5 of 10: C(4,3) C(6,2) / C(10,5) + C(4,4) C(6,1) / C(10,5).
        let tail = SpecialFunctions.hypergeometricTail(3, drawn: 5, marked: 4, total: 10)
        #expect(abs(tail - 66.0 / 252) < 1e-12)
        #expect(SpecialFunctions.hypergeometricTail(0, drawn: 5, marked: 4, total: 10) > 1 - 1e-12)
        #expect(SpecialFunctions.hypergeometricTail(5, drawn: 5, marked: 4, total: 10) == 0)
    }

    @Test("the columns of AIPerf: two sections, with the statistics in its order")
    func aiperf() throws {
        try EvidenceTests.withFolder { folder in
            try EvidenceTests.write(SimulatedRun.evidence(users: [4], hold: 40), to: folder)
            let reporter = try RunReporter(folder)
            try reporter.write([.aiperf])
            let level = reporter.evidence.levels[0]
            let text = try String(
                contentsOf: folder.level(level.visit).aiperfFile, encoding: .utf8)
            let lines = text.components(separatedBy: "\r\n")
            #expect(
                lines[0] == "Metric,avg,min,max,sum,p1,p5,p10,p25,p50,p75,p90,p95,p99,std")
            let latency = lines[1].split(separator: ",")
            #expect(latency[0] == "Request Latency (ms)" && latency.count == 15)
            let mean = try #require(level.figures?.endToEnd.mean.value)
            #expect(abs((Double(latency[1]) ?? 0) - mean) < 0.006)
            let split = try #require(lines.firstIndex(of: ""))
            #expect(lines[split + 1] == "Metric,Value")
            #expect(lines.contains { $0.hasPrefix("Request Throughput (requests/sec),") })
        }
    }
}
