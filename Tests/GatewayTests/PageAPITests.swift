// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Imaging
import NIOCore
import Testing

@Suite struct PageAPITests {
    @Test("the page learns all about the models")
    func models() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let body = try await client.get("/api/models").body
            let models = try JSONDecoder().decode(
                [ModelDescription].self, from: Data(body.readableBytesView))
            #expect(models == [try .tiny(), try .slashed()])
        }
    }

    @Test("the page follows a request from queue to picture")
    func events() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.post(
                "/api/generate",
                #"{"prompt": "a kite", "steps": 2, "seed": 3, "guidance_scale": 1, "count": 1}"#)
            let events = try response.events()
            // Previews that were overtaken before they could be sent are left out.
            #expect(
                events.map(\.name).filter { $0 != "preview" } == [
                    "queued", "started", "step", "step", "image", "done",
                ])
            #expect(events[0].data["position"] as? Int == 1)
            #expect(events[2].data["step"] as? Int == 1 && events[2].data["steps"] as? Int == 2)
            #expect(events[2].data["seconds"] as? Double == 0.25)
            let preview = try #require(events.last { $0.name == "preview" })
            #expect(preview.data["step"] as? Int == 2)
            let url = try #require(preview.data["url"] as? String)
            #expect(url.hasPrefix("data:image/png;base64,"))
            let image = try #require(events.first { $0.name == "image" }).data
            #expect(image["seed"] as? Int == 3 && image["steps"] as? Int == 2)
            #expect(image["width"] as? Int == 32 && image["height"] as? Int == 16)
            #expect(image["guidanceScale"] as? Double == 1)
            let text = try #require(image["parameters"] as? String)
            let file = try #require(Data(base64Encoded: image["base64"] as? String ?? ""))
            #expect(try ImageDecoder.decode(Array(file)).metadata.parameters == text)
            #expect(text.contains("CFG scale: 2"))
        }
    }

    @Test("what cannot be served is an ordinary error, a later failure an event")
    func errors() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.post("/api/generate", #"{"prompt": "p", "steps": 0}"#)
            #expect(response.status == .badRequest)
            #expect(try response.error()["param"] == "steps")
        }
        let failing = try FakeGenerator(.fail(GenerationError(.numeric, "Step 1 broke.")))
        try await withGateway(failing) { client in
            let events = try await client.post("/api/generate", #"{"prompt": "p"}"#).events()
            #expect(events.map(\.name) == ["queued", "started", "step", "error"])
            let error = try #require(events.last?.data["error"] as? [String: Any])
            #expect(error["message"] as? String == "Step 1 broke.")
        }
    }
}
