// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import Gateway
import Service
import Testing

/// Answers of every dialect, byte for byte but for ids, times, addresses and messages.
///
/// They are in `Tests/Fixtures/golden/answers-*.txt`, one file for each service.
/// `INKSTONE_UPDATE_SNAPSHOTS=1` records them.
@Suite("Golden answers", .serialized, .timeLimit(.minutes(5)))
struct GoldenAnswerTests {
    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func generator(_ scenario: GoldenScenario) throws -> FakeGenerator {
        switch scenario {
        case .ready, .keys: try FakeGenerator()
        case .hanging: try FakeGenerator(.hang)
        case .busy: try FakeGenerator(.refuse(GenerationError(.busy, "It is busy.")))
        case .failing: try FakeGenerator(.fail(GenerationError(.numeric, "Step 1 broke.")))
        case .empty: try FakeGenerator(isLoaded: false)
        }
    }

    /// Sends the calls in order; name and answer of each.
    private func answers(
        _ calls: [GoldenCall], _ captured: [String: String], _ client: TestClient
    ) async throws -> [(name: String, text: String)] {
        var captured = captured
        func filled(_ text: String) -> String {
            captured.reduce(text) { $0.replacing("{\($1.key)}", with: $1.value) }
        }
        var answers: [(name: String, text: String)] = []
        for call in calls {
            var filledCall = call
            filledCall.headers = call.headers.map { ($0.name, filled($0.value)) }
            let answer = try await send(filledCall, to: filled(call.path), with: client)
            if let capture = call.capture {
                let body = String(decoding: answer.body, as: UTF8.self)
                let match = try #require(
                    try Regex(capture.pattern).firstMatch(in: body), "\(call.name): \(body)")
                captured[capture.name] = match.output[1].substring.map { String($0) }
            }
            let text = GoldenMask(call).text(answer)
            answers.append((call.name, "\(call.method) \(call.path)\n\(text)"))
        }
        return answers
    }

    private func run(_ scenario: GoldenScenario) async throws -> [(name: String, text: String)] {
        let temporary = try TemporaryStore()
        var (keys, captured): (KeyStore?, [String: String]) = (nil, [:])
        if scenario == .keys {
            let store = try KeyStore(folder: temporary.folder)
            captured["key"] = try store.add("ann", scope: .generate, perMinute: 1)
            keys = store
        }
        let (answers, result) = AsyncStream<[(name: String, text: String)]>.makeStream()
        let calls = try scenario.calls()
        let (known, models) = (captured, Self.root.appending(path: "Models"))
        let generator = try generator(scenario)
        try await withGateway(
            generator, forecaster: generator, keys: keys,
            configure: {
                $0.loras = LoRARegistry(models: [models.appending(path: "emoji-nano")])
                $0.locator = ModelLocator(
                    environment: ["INKSTONE_MODELS": temporary.folder.path])
                $0.allowedOrigins = ["https://example.org"]
            }
        ) { client in
            result.yield(try await self.answers(calls, known, client))
            result.finish()
        }
        for await answers in answers { return answers }
        return []
    }

    @Test("answers are those recorded", arguments: GoldenScenario.allCases)
    func answers(_ scenario: GoldenScenario) async throws {
        let file = Self.root.appending(
            path: "Tests/Fixtures/golden/answers-\(scenario.rawValue).txt")
        var actual = try await run(scenario)
        if ProcessInfo.processInfo.environment["INKSTONE_UPDATE_SNAPSHOTS"] == "1" {
            let text = actual.map { "=== \($0.name)\n\($0.text)\n" }.joined(separator: "\n")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        let recorded = try String(contentsOf: file, encoding: .utf8)
        let sections = ("\n" + recorded).components(separatedBy: "\n=== ").dropFirst().map {
            $0.trimmingCharacters(in: .newlines)
        }
        // A client that begins to follow a job late receives the events so far in short, and a busy
        // machine makes clients late: such a scenario runs again.
        for _ in 1..<5 where !zip(sections, actual).allSatisfy({ $0 == Self.section($1) }) {
            actual = try await run(scenario)
        }
        #expect(sections.count == actual.count)
        for (section, answer) in zip(sections, actual) {
            #expect(Self.section(answer) == section, "\(scenario): \(answer.name)")
        }
    }

    /// An answer as the file holds it.
    private static func section(_ answer: (name: String, text: String)) -> String {
        "\(answer.name)\n\(answer.text)".trimmingCharacters(in: .newlines)
    }
}
