// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// How often the audit fails runs without a fault. `RunAuditTests` has a fault for each check that fails it.
@Suite struct AuditProofTests {
    @Test("of 200 clean runs, no check fails any")
    func falseAlarms() {
        var failed: [CheckID: Int] = [:]
        var warned: [CheckID: Int] = [:]
        for seed in 0..<200 as Range<UInt64> {
            let run = SimulatedRun.evidence(users: [1, 4], hold: 40, seed: 77_000 + 13 * seed)
            for check in RunAudit(run).report().checks {
                if check.verdict == .fail { failed[check.id, default: 0] += 1 }
                if check.verdict == .warn { warned[check.id, default: 0] += 1 }
            }
        }
        print("200 clean runs: failed \(failed), warned \(warned)")
        #expect(failed.isEmpty, "\(failed)")
        #expect(warned.values.allSatisfy { $0 <= 10 }, "\(warned)")
    }

    @Test("of 200 clean runs with edits, no check fails any")
    func falseAlarmsWithEdits() {
        var failed: [CheckID: Int] = [:]
        for seed in 0..<200 as Range<UInt64> {
            var run = SimulatedRun.evidence(users: [4], hold: 40, seed: 99_000 + 7 * seed)
            // Every third request is an edit that runs a half of its steps.
            for index in run.levels[0].records.indices where index.isMultiple(of: 3) {
                run.levels[0].records[index].parameters.source = SourceParameters(
                    width: 128, height: 128, seed: UInt32(index), strength: 0.5)
            }
            let edits = run.levels[0].load.count { $0.parameters.source != nil }
            let load = run.levels[0].load.count
            let counted = 8 * load - 4 * edits
            let text =
                "inkstone_denoise_evaluations_total{model=\"m\"} \(counted)\n"
                + "inkstone_images_total{model=\"m\"} \(load)\n"
            if let before = run.levels[0].metrics?.before {
                run.levels[0].metrics = MetricsDifference(
                    before: before, after: MetricsSnapshot(text: text))
            }
            run.compute()
            let figures = run.levels[0].figures
            run.levels[0].result?.figures = figures
            for check in RunAudit(run).report().checks where check.verdict == .fail {
                failed[check.id, default: 0] += 1
            }
        }
        #expect(failed.isEmpty, "\(failed)")
    }

    @Test("less work than edits need fails the ledger")
    func editsWithoutWork() throws {
        var run = SimulatedRun.evidence(users: [4], hold: 40)
        for index in run.levels[0].records.indices {
            run.levels[0].records[index].parameters.source = SourceParameters(
                width: 128, height: 128, seed: 1, strength: 0.5)
        }
        let load = run.levels[0].load.count
        for (counted, verdict) in [
            (4 * load, Verdict.pass), (8 * load, .pass), (4 * load - 1, .fail),
            (9 * load + 1, .fail),
        ] {
            let before = try #require(run.levels[0].metrics?.before)
            run.levels[0].metrics = MetricsDifference(
                before: before,
                after: MetricsSnapshot(
                    text: "inkstone_denoise_evaluations_total{model=\"m\"} \(counted)\n"))
            #expect(RunAudit(run).report()[.a13]?.verdict == verdict, "\(counted)")
        }
    }
}

/// Each driver under loads of other shapes than a closed loop.
@Suite(.serialized) struct DriverShapeTests {
    @Test(arguments: Dialect.allCases)
    func everyDialectFollowsShapes(_ dialect: Dialect) async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.01
        settings.devices = 8
        settings.dialect = dialect
        let shapes: [LoadShape] = [
            .ramp(from: 10, to: 30, seconds: 0.6), .steps(rates: [10, 30], seconds: 0.3),
            .spike(base: 10, peak: 40, seconds: 0.2, before: 0.2, after: 0.2),
        ]
        let levels = shapes.map {
            LevelSpec.shaped(arrivals: .constant, shape: $0, maximumInFlight: 64)
        }
        let (folder, manifest, _) = try await MockRunTests.run(
            settings, levels: levels, dialect: dialect
        ) { $0.target.model = "mock" }
        defer { try? FileManager.default.removeItem(at: folder.url.deletingLastPathComponent()) }
        #expect(manifest.status == .complete && manifest.levels.count == 3)
        for visit in manifest.levels {
            let level = folder.level(visit)
            let result = try level.result()
            #expect(result.accounting.isBalanced && result.accounting.failed == 0)
            #expect(result.accounting.valid >= 6, "\(visit.level) \(result.accounting)")
        }
    }
}
