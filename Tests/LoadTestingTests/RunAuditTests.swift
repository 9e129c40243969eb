// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// A fault for each check, which must detect it, and a clean run, which must pass.
@Suite struct RunAuditTests {
    static let clean = SimulatedRun.evidence()

    /// The verdict of a check after a change.
    static func verdict(
        _ id: CheckID, recompute: Bool = true, _ change: (inout RunEvidence) -> Void
    ) -> AuditCheck? {
        var run = clean
        change(&run)
        if recompute { run.compute() }
        return RunAudit(run).report()[id]
    }

    @Test("a clean run passes every check", arguments: CheckID.allCases)
    func passes(id: CheckID) throws {
        let check = try #require(RunAudit(Self.clean).report()[id])
        #expect(check.verdict == .pass, "\(check)")
        #expect(!check.findings.isEmpty)
    }

    @Test("every check has its numbers, and all of them are finite")
    func numbers() throws {
        let report = RunAudit(Self.clean).report()
        #expect(report.checks.map(\.id) == CheckID.allCases)
        for check in report.checks {
            #expect(check.findings.allSatisfy { !$0.numbers.isEmpty }, "\(check.id)")
        }
        let text = String(decoding: try RecordCoding.document(report), as: UTF8.self)
        #expect(try RecordCoding.decode(AuditReport.self, from: Data(text.utf8)) == report)
    }

    // MARK: - A1, A2, A9, A16

    @Test("A1: a user with two open requests, and times that run backwards")
    func littlesLaw() {
        #expect(
            Self.verdict(.a1) { run in
                // Ten times as many images as the users can have asked for.
                for index in run.levels[0].records.indices {
                    run.levels[0].records[index].times.send -= 3_000_000_000
                }
            }?.verdict == .fail)
        #expect(
            Self.verdict(.a1) { run in
                for index in run.levels[3].records.indices.prefix(200) where index.isMultiple(of: 3)
                {
                    let send = run.levels[3].records[index].times.send
                    run.levels[3].records[index].times.end = send - 50_000_000
                }
            }?.verdict == .fail)
        #expect(
            Self.verdict(.a1) { run in
                for index in run.levels[2].series.indices {
                    run.levels[2].series[index].inFlight *= 0.99
                }
            }?.verdict == .fail)
    }

    @Test("A2: more than the unloaded time allows")
    func asymptoticBound() {
        let check = Self.verdict(.a2) { run in
            // One user is served a third more slowly than each of many.
            let slow = Simulation(users: 1, service: 1.3, hold: 60, seed: 5, level: "closed-001")
            run.levels[0] = slow.evidence()
        }
        #expect(check?.verdict == .fail)
    }

    @Test("A9: late sending, idle users, dropped arrivals")
    func coordinatedOmission() {
        #expect(
            Self.verdict(.a9) { run in
                for index in run.levels[1].records.indices where index.isMultiple(of: 20) {
                    run.levels[1].records[index].times.planned -= 50_000_000
                }
            }?.verdict == .fail)
        #expect(
            Self.verdict(.a9) { run in
                run.levels[3].records.removeAll { ($0.user ?? 0) == 7 }
            }?.verdict == .fail)
        #expect(Self.verdict(.a9) { $0.levels[0].result?.accounting.dropped = 1 }?.verdict == .fail)
    }

    @Test("A16: a first preview on a timer")
    func stageLaw() {
        let check = Self.verdict(.a16) { run in
            for index in run.levels[3].records.indices {
                let send = run.levels[3].records[index].times.send
                run.levels[3].records[index].times.previews[0] = send + 30_000_000
            }
        }
        #expect(check?.verdict == .fail)
        let none = Self.verdict(.a16) { run in
            for level in run.levels.indices {
                for index in run.levels[level].records.indices {
                    run.levels[level].records[index].server = nil
                }
            }
        }
        #expect(none?.verdict == .notApplicable)
    }

    // MARK: - The access log

    @Test("A3: a lost line, a line too many, another status, another length")
    func logCounts() {
        #expect(Self.verdict(.a3) { $0.levels[1].log?.removeLast() }?.verdict == .fail)
        #expect(
            Self.verdict(.a3) { run in
                guard var line = run.levels[1].log?.first else { return }
                line.id += "9"
                run.levels[1].log?.append(line)
            }?.verdict == .fail)
        #expect(Self.verdict(.a3) { $0.levels[1].log?[0].status = 500 }?.verdict == .fail)
        #expect(Self.verdict(.a3) { $0.levels[1].log?[0].bytes -= 1 }?.verdict == .fail)
        #expect(
            Self.verdict(.a3) { $0.levels[2].records[4].calls[0].echoedId = "other" }?.verdict
                == .fail)
        #expect(
            Self.verdict(.a3) { run in
                for index in run.levels.indices { run.levels[index].log = nil }
            }?.verdict == .notApplicable)
    }

    @Test("A4: a server that logs too short times, and one with a slow clock")
    func logTimes() {
        #expect(
            Self.verdict(.a4) { run in
                for index in run.levels[2].log?.indices ?? 0..<0 {
                    run.levels[2].log?[index].requestSeconds *= 0.99
                }
            }?.verdict == .fail)
        #expect(
            Self.verdict(.a4) { $0.levels[2].log?[100].requestSeconds += 0.01 }?.verdict == .fail)
        #expect(
            Self.verdict(.a4) { $0.levels[2].log?[100].requestSeconds -= 0.1 }?.verdict == .fail)
    }

    @Test("A4: times too short for a log in milliseconds are not compared")
    func shortTimes() throws {
        let run = SimulatedRun.evidence(users: [1, 2], hold: 20) { $0.service = 0.02 }
        let check = try #require(RunAudit(run).report()[.a4])
        #expect(check.verdict == .notApplicable)
        #expect(check.reason?.contains("the log has a resolution of milliseconds") == true)
    }

    @Test("A18: a clock that was stepped")
    func clocks() {
        let check = Self.verdict(.a18) { run in
            for index in run.levels[1].log?.indices ?? 0..<0 where index > 100 {
                run.levels[1].log?[index].time? += 1
            }
        }
        #expect(check?.verdict == .fail)
        // A constant offset is allowed.
        let constant = Self.verdict(.a18) { run in
            for index in run.levels[1].log?.indices ?? 0..<0 {
                run.levels[1].log?[index].time? += 3600
            }
        }
        #expect(constant?.verdict == .pass)
    }

    // MARK: - Metrics

    /// Replaces the metrics after a level.
    static func metrics(
        _ run: inout RunEvidence, _ level: Int, _ change: (MetricsSnapshot.Sample) -> Double?
    ) {
        guard let old = run.levels[level].metrics else { return }
        let lines = old.after.samples.compactMap { sample in
            change(sample).map { value in
                let labels = sample.labels.sorted { $0.key < $1.key }
                    .map { "\($0.key)=\"\($0.value)\"" }.joined(separator: ",")
                return "\(sample.name){\(labels)} \(value)"
            }
        }
        run.levels[level].metrics = MetricsDifference(
            before: old.before, after: MetricsSnapshot(text: lines.joined(separator: "\n")))
    }

    @Test(
        "A5: a counter that is off by one, and a mean that is off by a hundredth",
        arguments: [
            ("inkstone_requests_total", 1.0, 1.0), ("inkstone_images_total", 1, 1),
            ("inkstone_request_duration_seconds_count", -1, 1),
            ("inkstone_request_duration_seconds_sum", 0, 1.01),
            ("inkstone_time_to_first_preview_seconds_sum", 0, 1.1),
            ("inkstone_queue_time_seconds_sum", 0, 1.02),
        ])
    func engineMetrics(name: String, more: Double, times: Double) {
        let check = Self.verdict(.a5) { run in
            Self.metrics(&run, 3) { $0.name == name ? ($0.value + more) * times : $0.value }
        }
        #expect(check?.verdict == .fail, "\(name)")
    }

    @Test(
        "A13: work that was not done, or not counted",
        arguments: [
            "inkstone_denoise_evaluations_total", "inkstone_pixels_total",
            "inkstone_denoise_tokens_total",
        ])
    func workLedger(name: String) {
        for factor in [0.5, 1.001, 12] {
            let check = Self.verdict(.a13) { run in
                Self.metrics(&run, 2) { $0.name == name ? ($0.value * factor).rounded() : $0.value }
            }
            // Tokens depend on prompts, so only a deviation beyond every prompt is a fault.
            let isExplained = name.contains("tokens") && factor == 1.001
            #expect(check?.verdict == (isExplained ? .pass : .fail), "\(name) x \(factor)")
        }
    }

    @Test("A14: a device that is busy for longer than the time that passed")
    func deviceTime() {
        let check = Self.verdict(.a14) { run in
            Self.metrics(&run, 3) { $0.name.contains("busy") ? $0.value * 1.1 : $0.value }
        }
        #expect(check?.verdict == .fail)
    }

    // MARK: - Images

    @Test("A6: two requests with equal pixels")
    func duplicates() {
        let change: (inout RunEvidence) -> Void = { run in
            let digest = run.levels[1].records[20].image?.pixelDigest
            run.levels[3].records[10].image?.pixelDigest = digest
        }
        #expect(Self.verdict(.a6, change)?.verdict == .fail)
        #expect(
            Self.verdict(.a6) { run in
                change(&run)
                run.manifest.limits.duplicatesFail = false
            }?.verdict == .warn)
    }

    @Test("A7: other pixels for the same request")
    func determinism() {
        #expect(
            Self.verdict(.a7) { $0.probes?.records[1].image?.pixelDigest = "other" }?.verdict
                == .fail)
        #expect(Self.verdict(.a7) { $0.probes?.records[1].image = nil }?.verdict == .fail)
        #expect(Self.verdict(.a7) { $0.probes = nil }?.verdict == .notApplicable)
    }

    @Test("A8: a cache that was not declared")
    func cacheTiming() throws {
        let fast: (inout RunEvidence) -> Void = { run in
            for index in run.probes?.records.indices ?? 0..<0
            where run.probes?.records[index].purpose == .cacheIdentical {
                let send = run.probes?.records[index].times.send ?? 0
                run.probes?.records[index].times.end = send + 20_000_000 + Int64(index) * 1000
            }
        }
        #expect(
            Self.verdict(.a8) { run in
                fast(&run)
                run.manifest.target.declaredCaches = [:]
            }?.verdict == .fail)
        let declared = try #require(Self.verdict(.a8, fast))
        #expect(declared.verdict == .pass)
        #expect(declared.findings[0].text.contains("declared caches: prompt keeps captions"))
    }

    // MARK: - Tester, roofline, memory, wire, claims

    @Test("A10: a tester that uses too much processor time, or was late")
    func testerHealth() {
        #expect(
            Self.verdict(.a10) { $0.levels[3].result?.resources.testerCores = 0.3 }?.verdict
                == .fail)
        #expect(
            Self.verdict(.a10) { $0.levels[3].result?.resources.loopLagP99 = 6 }?.verdict == .fail)
        #expect(
            Self.verdict(.a10) { $0.levels[3].result?.resources.testerResidentSlope = 100 }?.verdict
                == .warn)
        // On another machine the processor time does not matter.
        #expect(
            Self.verdict(.a10) { run in
                run.levels[3].result?.resources.testerCores = 0.3
                run.manifest.target.process = nil
            }?.verdict == .pass)
    }

    @Test("A11 and A12: more than the device can do")
    func roofline() {
        #expect(Self.verdict(.a11) { $0.manifest.target.peakOperations = 1e9 }?.verdict == .fail)
        #expect(Self.verdict(.a12) { $0.manifest.target.peakOperations = 1e8 }?.verdict == .fail)
        #expect(Self.verdict(.a11) { $0.manifest.target.model = "sdxl" }?.verdict == .notApplicable)
    }

    @Test("A17: less memory than the weights need")
    func memory() {
        #expect(Self.verdict(.a17) { $0.manifest.target.parameters = 1e9 }?.verdict == .fail)
        #expect(
            Self.verdict(.a17) { $0.manifest.target.precision = nil }?.verdict == .notApplicable)
    }

    @Test("A19: more bytes than the link can transfer")
    func wire() {
        #expect(Self.verdict(.a19) { $0.manifest.linkBytesPerSecond = 1000 }?.verdict == .fail)
    }

    @Test("A15: a rate that is not a whole count")
    func resolution() {
        #expect(
            Self.verdict(.a15) { $0.levels[0].result?.figures?.errorRate.value = 0.0001 }?.verdict
                == .fail)
        #expect(
            Self.verdict(.a15) { run in
                guard let rate = run.levels[1].result?.figures?.throughput.value else { return }
                run.levels[1].result?.figures?.throughput.value = 10 * rate + 0.003
            }?.verdict == .fail)
    }

    @Test("A20: a headline that is not in the table")
    func headline() throws {
        let honest = try #require(Headline(Self.clean))
        #expect(Self.verdict(.a20) { $0.headline = honest }?.verdict == .pass)
        #expect(
            Self.verdict(.a20) { run in
                run.headline = honest
                run.headline?.throughput? *= 1.05
            }?.verdict == .fail)
        #expect(
            Self.verdict(.a20) { run in
                run.headline = honest
                run.headline?.text = "82.0 img/s at 8 users."
            }?.verdict == .fail)
    }
}
