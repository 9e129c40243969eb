// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Imaging
import NIOCore
import Testing

/// The events of `/api/jobs/{id}/events`.
@Suite("Events of a job", .timeLimit(.minutes(5)))
struct JobEventTests {
    @Test("a client follows a job from the queue to its image")
    func events() async throws {
        let generator = try FakeGenerator(.pause)
        try await withGateway(generator) { client in
            let port = client.port
            let job = try await client.post(
                "/api/jobs",
                #"{"prompt": "a kite", "steps": 2, "seed": 3, "guidance_scale": 1, "count": 1}"#
            ).object()
            let id = try #require(job["id"] as? String)
            let answer = try await rawExchange(
                port: port,
                ByteBuffer(
                    string: rawRequest("GET /api/jobs/\(id)/events", ["Connection: close"]))
            ) { text in
                if text.contains("event: preview") { generator.resume() }
            }
            let events = try self.events(in: answer)
            #expect(
                events.map(\.name).filter { $0 != "queued" } == [
                    "started", "step", "preview", "step", "preview", "image", "done",
                ])
            let steps = events.filter { $0.name == "step" }.map(\.data)
            #expect(steps.map { $0["step"] as? Int } == [1, 2])
            #expect(steps.allSatisfy { $0["steps"] as? Int == 2 && $0["image"] as? Int == 0 })
            #expect(steps.allSatisfy { $0["seconds"] as? Double == 0.25 })
            let preview = try #require(events.last { $0.name == "preview" })
            #expect(preview.data["step"] as? Int == 2)
            let url = try #require(preview.data["url"] as? String)
            #expect(url.hasPrefix("data:image/png;base64,"))
            let image = try #require(events.first { $0.name == "image" }).data
            #expect(image["seed"] as? Int == 3 && image["index"] as? Int == 0)
            let path = try #require(image["url"] as? String)
            let file = try await client.get(path).body
            let decoded = try ImageDecoder.decode([UInt8](file.readableBytesView))
            #expect(decoded.image.width == 32 && decoded.image.height == 16)
            let text = try #require(decoded.metadata.parameters)
            #expect(text.contains("CFG scale: 2") && text.contains("Steps: 2"))
        }
    }

    @Test("a request that cannot be served is refused, and a later failure is the last event")
    func errors() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.post("/api/jobs", #"{"prompt": "p", "steps": 0}"#)
            #expect(response.status == .badRequest)
            #expect(try response.error()["param"] == "steps")
        }
        let failing = try FakeGenerator(.fail(GenerationError(.numeric, "Step 1 broke.")))
        try await withGateway(failing) { client in
            let job = try await client.post("/api/jobs", #"{"prompt": "p"}"#).object()
            let id = try #require(job["id"] as? String)
            let last = try #require(try await client.get("/api/jobs/\(id)/events").events().last)
            #expect(last.name == "error")
            let error = try #require(last.data["error"] as? [String: Any])
            #expect(error["message"] as? String == "Step 1 broke.")
        }
    }

    /// The events of a chunked answer; each of them is in a chunk of its own.
    private func events(in answer: String) throws -> [ServerEvent] {
        var frames: [String] = []
        var name: Substring?
        for line in answer.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("event: ") { name = line }
            if line.hasPrefix("data: "), let event = name { frames.append("\(event)\n\(line)") }
        }
        return try frames.compactMap(ServerEvent.init)
    }
}
