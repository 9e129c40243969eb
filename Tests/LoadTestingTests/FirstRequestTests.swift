// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Runs whose requests cannot succeed end before the load, with one sentence.
@Suite(.serialized) struct FirstRequestTests {
    private func message(
        _ faults: Set<MockFault>, dialect: Dialect = .openAIStream,
        change: (inout Scenario) -> Void = { _ in }
    ) async throws -> String {
        var settings = MockSettings()
        settings.serviceTime = 0.01
        settings.faults = faults
        let error = await #expect(throws: RunError.self) {
            _ = try await MockRunTests.run(settings, dialect: dialect, change: change)
        }
        let text = error?.description ?? ""
        #expect(!text.contains("\n"))
        return text
    }

    @Test func aMissingKeyIsNamed() async throws {
        let text = try await message([.needsKey])
        #expect(text.contains("requires a valid key (401"), "\(text)")
        #expect(text.contains("set target.key"))
    }

    @Test func aKeyIsSent() async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.01
        settings.faults = [.needsKey]
        let (folder, manifest, _) = try await MockRunTests.run(settings) {
            $0.target.key = "secret"
        }
        #expect(manifest.status == .complete)
        try FileManager.default.removeItem(at: folder.url.deletingLastPathComponent())
    }

    @Test func aWrongModelIsNamed() async throws {
        let text = try await message([.otherModel]) { $0.target.model = "z-image-huge" }
        #expect(text.contains("does not serve the model z-image-huge (404"), "\(text)")
        #expect(text.contains("set target.model"))
    }

    @Test(arguments: Dialect.allCases)
    func aDialectThatTheServerDoesNotSpeakIsNamed(_ dialect: Dialect) async throws {
        let text = try await message([], dialect: dialect) { scenario in
            scenario.target.url += "/nowhere"
            // Its requests name a checkpoint.
            if dialect == .comfyUI { scenario.target.model = "model" }
            scenario.target.metrics = nil
        }
        #expect(text.contains("does not exist (404"), "\(text)")
        #expect(text.contains("set target.dialect to one that the server speaks"))
    }

    @Test func aServerWithoutStreamsIsNamed() async throws {
        let text = try await message([.noStream])
        #expect(text.contains("is not one of the dialect openai-stream"), "\(text)")
        #expect(text.contains("openai, xinference"))
    }

    @Test func textInsteadOfAnImageIsNamed() async throws {
        let text = try await message([.textOnly], dialect: .openAI)
        #expect(text.contains("is not one of the dialect openai "), "\(text)")
    }

    @Test func anImageOfAnotherSizeIsNamed() async throws {
        let text = try await message([.halfSize])
        #expect(text.contains("The probe image (64x64, 8 steps)"), "\(text)")
        #expect(text.contains("has 32x32 pixels"))
    }

    @Test func aServerThatIsNotThereIsNamed() async throws {
        let text = try await message([]) { $0.target.url = "http://127.0.0.1:1" }
        #expect(text.contains("cannot be reached"), "\(text)")
    }

    @Test func theShapeThatFailsIsNamedBeforeTheFirstLevel() async throws {
        let text = try await message([]) { scenario in
            scenario.request.sizes += [Weighted(.init(width: 8192, height: 8192), weight: 0.001)]
        }
        #expect(text.contains("The probe image (8192x8192, 8 steps)"), "\(text)")
    }

    @Test func eachShapeIsRequestedOnceBeforeTheFirstLevel() async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.01
        let (folder, _, _) = try await MockRunTests.run(
            settings, levels: [.closed(users: [1, 2])]
        ) { scenario in
            scenario.request.sizes += [Weighted(.init(width: 96, height: 64))]
            scenario.request.steps = [Weighted(4), Weighted(8)]
        }
        let root = folder.url.deletingLastPathComponent()
        defer { try? FileManager.default.removeItem(at: root) }
        let log = try String(contentsOf: root.appending(path: "access.log"), encoding: .utf8)
        let lines = log.split(separator: "\n")
        let probes = lines.indices.filter { lines[$0].contains("-probe-") }
        #expect(probes.count == 4)
        let first = try #require(lines.firstIndex { $0.contains("-closed-001-") })
        #expect(probes.allSatisfy { $0 < first })
    }

    @Test func aLevelWhoseFirstRequestsAllFailEndsTheRun() async throws {
        let text = try await message([.breaks])
        #expect(
            text.hasPrefix(
                "The first 20 requests of level closed-004 all failed, the first with http_5xx"),
            "\(text)")
        #expect(text.contains("out of memory"))
    }

    @Test func anOpenLoadWhoseFirstRequestsAllFailEndsTheRun() async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.01
        settings.faults = [.breaks]
        let start = ContinuousClock.now
        let error = await #expect(throws: RunError.self) {
            _ = try await MockRunTests.run(
                settings,
                levels: [
                    .open(
                        arrivals: .constant, rates: [.absolute(100)], shape: nil,
                        maximumInFlight: 50)
                ], hold: 60)
        }
        #expect(error?.description.contains("all failed") == true)
        #expect(ContinuousClock.now - start < .seconds(20))
    }
}
