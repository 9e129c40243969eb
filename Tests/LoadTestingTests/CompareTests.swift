// Part of Inkstone. Licence: see LICENSE.

import LoadTesting
import Testing

@Suite struct CompareTests {
    /// One level of four users on two devices.
    static func run(seed: UInt64, service: Double = 0.4, plan: String = "9a1a") -> RunEvidence {
        var run = SimulatedRun.evidence(users: [4], hold: 60, seed: seed) {
            $0.service = service
            $0.spread = 0.1
        }
        run.manifest.planDigest = plan
        return run
    }

    @Test("a run against itself shows no difference")
    func itself() {
        let run = SimulatedRun.evidence(users: [1, 2, 4, 8])
        let comparison = RunComparison(base: run, new: run)
        #expect(comparison.isPaired)
        #expect(comparison.rows.count == 12)
        #expect(comparison.rows.allSatisfy { $0.verdict == .noDifference })
        #expect(comparison.rows.allSatisfy { $0.ratio.value == 1 })
    }

    @Test("a slowdown of 5 % is detected in at least 95 of 100 runs, in equal runs in at most 5")
    func slower() {
        var slower = 0
        var faster = 0
        var different = 0
        for seed in 0..<100 {
            // Different seeds, so that the service times are independent.
            let base = Self.run(seed: 100 + UInt64(seed))
            let worse = Self.run(seed: 4000 + UInt64(seed), service: 0.42, plan: "other")
            let same = Self.run(seed: 9000 + UInt64(seed), plan: "other")
            func verdict(_ first: RunEvidence, _ second: RunEvidence) -> ComparisonVerdict? {
                RunComparison(base: first, new: second).rows.first { $0.metric == .endToEnd }?
                    .verdict
            }
            if verdict(base, worse) == .slower { slower += 1 }
            if verdict(worse, base) == .faster { faster += 1 }
            if verdict(base, same) != .noDifference { different += 1 }
        }
        #expect(slower >= 95, "\(slower) of 100")
        #expect(faster >= 95, "\(faster) of 100")
        #expect(different <= 5, "\(different) of 100")
    }

    @Test("the same plan is compared pair by pair")
    func paired() throws {
        let base = Self.run(seed: 3)
        var new = base
        for index in new.levels[0].records.indices {
            let times = new.levels[0].records[index].times
            if let end = times.end {
                new.levels[0].records[index].times.end = times.send + (end - times.send) * 105 / 100
            }
        }
        new.compute()
        let row = try #require(
            RunComparison(base: base, new: new).rows.first { $0.metric == .endToEnd })
        #expect(row.method == "paired" && row.verdict == .slower)
        #expect(row.ratio.value.map { abs($0 - 1.05) < 0.001 } == true)
        // A practical limit above the change.
        let lax = RunComparison(base: base, new: new, practical: 0.06)
        #expect(lax.rows.first { $0.metric == .endToEnd }?.verdict == .noDifference)
    }

    @Test("levels of only one run are listed, and few samples have no verdict")
    func unmatched() {
        let base = SimulatedRun.evidence(users: [1, 2], hold: 20)
        let new = SimulatedRun.evidence(users: [2, 4], hold: 20)
        let comparison = RunComparison(base: base, new: new)
        #expect(comparison.unmatched == ["closed-001", "closed-004"])
        #expect(Set(comparison.rows.map(\.level)) == ["closed-002"])
        #expect(comparison.markdown.contains("Only in one of them: closed-001, closed-004."))
        let short = SimulatedRun.evidence(users: [2], hold: 1)
        #expect(
            RunComparison(base: short, new: short).rows.allSatisfy {
                $0.verdict == .unknown || $0.ratio.low != nil
            })
    }

    @Test("the page has both runs and is self-contained")
    func page() {
        let base = SimulatedRun.evidence(users: [1, 2, 4], hold: 20)
        let html = ComparisonPage(base: base, new: base).html
        #expect(html.contains("no difference shown"))
        #expect(html.contains("Time to first preview"))
        #expect(html.firstMatch(of: /(src|href)="https?:/) == nil)
    }
}
