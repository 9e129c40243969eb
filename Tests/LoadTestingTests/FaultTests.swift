// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Every fault of the mock server fails its check, and a server without faults passes all.
@Suite(.serialized) struct FaultTests {
    /// Audits a run against a server with these faults.
    private func audit(
        _ faults: Set<MockFault>, service: Double = 0.02, devices: Int = 4,
        levels: [LevelSpec] = [.closed(users: [4])], hold: Double = 0.8, probes: Bool = false,
        change: (inout Scenario) -> Void = { _ in }
    ) async throws -> AuditReport {
        var settings = MockSettings()
        settings.serviceTime = service
        settings.devices = devices
        settings.faults = faults
        let (folder, _, _) = try await MockRunTests.run(settings, levels: levels, hold: hold) {
            $0.probes = probes
            $0.device.count = devices
            change(&$0)
        }
        defer { try? FileManager.default.removeItem(at: folder.url.deletingLastPathComponent()) }
        return try RunReporter(folder).audit
    }

    private func verdict(_ id: CheckID, _ report: AuditReport) throws -> Verdict {
        try #require(report.checks.first { $0.id == id }).verdict
    }

    @Test func aServerWithoutFaultsPassesEveryCheck() async throws {
        let report = try await audit([], service: 0.14, hold: 2, probes: true) {
            // Other load on the machine is not a fault of the server.
            $0.limits.logDeviation = 0.5
            $0.limits.metricsDeviation = 0.5
        }
        for id in [CheckID.a1, .a3, .a5, .a6, .a7, .a13, .a14, .a16] {
            let check = try #require(report.checks.first { $0.id == id })
            #expect(
                check.verdict == .pass, "\(id) \(check.findings.map(\.text)) \(check.reason ?? "")")
        }
        for id in [CheckID.a2, .a8, .a17, .a19] {
            let check = try #require(report.checks.first { $0.id == id })
            #expect(check.verdict != .fail, "\(id) \(check.findings.map(\.text))")
        }
    }

    @Test(arguments: [
        (MockFault.lostLine, CheckID.a3), (.wrongBytes, .a3), (.counter, .a5),
        (.fewerSteps, .a13), (.busy, .a14), (.clockStep, .a18),
        (.timedPreview, .a16),
    ])
    func aFaultFailsItsCheck(_ fault: MockFault, _ id: CheckID) async throws {
        #expect(try verdict(id, await audit([fault])) == .fail)
    }

    @Test func wrongDurationsAreDetected() async throws {
        // Times below 125 ms are not compared with a log in milliseconds.
        #expect(try verdict(.a5, await audit([.durationSum], service: 0.15)) == .fail)
    }

    @Test func tooShortTimesInTheLogAreDetected() async throws {
        #expect(try verdict(.a4, await audit([.earlyClock], service: 0.15)) == .fail)
    }

    @Test func equalImagesAreDetected() async throws {
        let report = try await audit([.duplicate]) { $0.request.keywords["n"] = ["1"] }
        #expect(try verdict(.a6, report) == .fail)
    }

    @Test func otherPixelsForTheSameRequestAreDetected() async throws {
        #expect(try verdict(.a7, await audit([.random], hold: 0.6, probes: true)) == .fail)
    }

    @Test func anUndeclaredCacheIsDetected() async throws {
        #expect(try verdict(.a8, await audit([.silentCache], hold: 0.6, probes: true)) == .fail)
    }

    @Test func aModelThatCannotFitIsDetected() async throws {
        // The process of the test stands for that of the server; it does not hold 6 billion weights.
        #expect(try verdict(.a17, await audit([.hugeModel], hold: 1.6)) == .fail)
    }

    @Test func aServerThatIsSlowOnlyForOneUserIsDetected() async throws {
        let report = try await audit(
            [.lazyAlone], levels: [.closed(users: [1, 4])], hold: 1)
        #expect(try verdict(.a2, report) == .fail)
    }

    @Test func droppedArrivalsAreDetected() async throws {
        let report = try await audit(
            [], service: 0.1, devices: 1,
            levels: [
                .open(arrivals: .constant, rates: [.absolute(30)], shape: nil, maximumInFlight: 4)
            ])
        #expect(try verdict(.a9, report) == .fail)
    }

    @Test func moreThanTheLinkCanTransferIsDetected() async throws {
        #expect(try verdict(.a19, await audit([]) { $0.link = 1000 }) == .fail)
    }
}
