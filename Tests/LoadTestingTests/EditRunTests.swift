// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Edits and sessions against the mock server, in every dialect that can carry them.
@Suite(.serialized) struct EditRunTests {
    static func run(
        _ dialect: Dialect, faults: Set<MockFault> = [], turns: Int = 1, hold: Double = 0.7,
        change: (inout Scenario) -> Void = { _ in }
    ) async throws -> (folder: ResultFolder, manifest: Manifest) {
        var settings = MockSettings()
        settings.serviceTime = 0.03
        settings.devices = 2
        settings.faults = faults
        settings.dialect = dialect
        let (folder, manifest, _) = try await MockRunTests.run(
            settings, levels: [.closed(users: [2])], dialect: dialect, hold: hold
        ) { scenario in
            scenario.target.model = "mock"
            var edits = RequestMix.Edits()
            edits.share = 0.7
            edits.sizes = [
                Weighted(.init(width: 64, height: 64)), Weighted(.init(width: 96, height: 80)),
            ]
            edits.strength = dialect.features.contains(.strength) ? 0.5 : 1
            if dialect.features.contains(.mask) { edits.masks = [Weighted(nil), Weighted(0.25)] }
            scenario.request.edits = edits
            scenario.request.turns = turns
            if dialect.features.contains(.control) {
                scenario.request.control = .init(model: "union", type: "canny")
            }
            if dialect.features.contains(.lora) {
                scenario.request.loras = [
                    Weighted(nil), Weighted(.init(name: "ink", scale: 0.8)),
                ]
            }
            change(&scenario)
        }
        return (folder, manifest)
    }

    private func remove(_ folder: ResultFolder) {
        try? FileManager.default.removeItem(at: folder.url.deletingLastPathComponent())
    }

    @Test(arguments: Dialect.allCases)
    func editsReturnImages(_ dialect: Dialect) async throws {
        let (folder, manifest) = try await Self.run(dialect)
        defer { remove(folder) }
        let level = folder.level(manifest.levels[0])
        let records = try level.requests().filter { $0.purpose == .load }
        #expect(records.allSatisfy { $0.isValid }, "\(records.compactMap(\.errorDetail).prefix(2))")
        #expect(records.contains { $0.parameters.task == "generate" })
        #expect(records.contains { $0.parameters.task == "edit" })
        if dialect.features.contains(.mask) {
            #expect(records.contains { $0.parameters.task == "inpaint" })
        }
        let reporter = try RunReporter(folder)
        #expect(reporter.markdown.contains("mean E2E of edit"))
        let audit = reporter.audit
        for id in [CheckID.a1, .a3, .a5, .a6, .a13] {
            let check = try #require(audit[id])
            #expect(check.verdict != .fail, "\(id) \(check.findings.map(\.text))")
        }
    }

    @Test(arguments: [Dialect.a1111, .openAIStream, .jobs, .comfyUI])
    func sessionsChangeTheImageOfTheTurnBefore(_ dialect: Dialect) async throws {
        let (folder, manifest) = try await Self.run(dialect, turns: 3, hold: 1)
        defer { remove(folder) }
        let records = try folder.level(manifest.levels[0]).requests().filter {
            $0.purpose == .load
        }
        let turns = records.filter { $0.parameters.source?.previous != nil }
        #expect(turns.count >= 4, "\(turns.count)")
        #expect(records.allSatisfy { $0.isValid }, "\(records.compactMap(\.errorDetail).prefix(2))")
        for turn in turns {
            let before = try #require(
                records.first { $0.sequence == turn.parameters.source?.previous })
            let end = try #require(before.times.end)
            #expect(end <= turn.times.send)
            #expect(before.user == turn.user)
            #expect(before.image?.pixelDigest != turn.image?.pixelDigest)
        }
        #expect(try folder.level(manifest.levels[0]).result().accounting.isBalanced)
    }

    @Test func anEditThatReturnsItsSourceIsAnError() async throws {
        let (folder, manifest) = try await Self.run(.a1111, faults: [.unchanged], hold: 1.2) {
            $0.request.edits?.sizes = []
            $0.request.edits?.share = 1
        }
        defer { remove(folder) }
        let records = try folder.level(manifest.levels[0]).requests()
        #expect(records.contains { $0.error == .unchanged })
        #expect(Set(records.compactMap(\.error)).isSubset(of: [.unchanged]))
    }
}
