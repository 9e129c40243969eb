// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Imaging
import Parameters
import Service
import Testing

/// Agents over the Model Context Protocol.
@Suite("MCP", .timeLimit(.minutes(5)))
struct MCPRouteTests {
    private static let session = HTTPField.Name("mcp-session-id") ?? .age

    /// The body of a request.
    private func message(_ method: String, _ parameters: String = "{}", id: Int = 1) -> String {
        #"{"jsonrpc": "2.0", "id": \#(id), "method": "\#(method)", "params": \#(parameters)}"#
    }

    private func call(_ tool: String, _ arguments: String, id: Int = 1, meta: String = "{}")
        -> String
    {
        message(
            "tools/call", #"{"name": "\#(tool)", "arguments": \#(arguments), "_meta": \#(meta)}"#,
            id: id)
    }

    /// The result of an answer, and whether the tool has failed.
    private func result(_ answer: TestResponse) throws -> [String: Any] {
        #expect(answer.status == .ok)
        return try #require(try answer.object()["result"] as? [String: Any], "\(answer.text)")
    }

    /// Text of the result's first part.
    private func text(_ result: [String: Any]) throws -> String {
        let content = try #require(result["content"] as? [[String: Any]])
        return try #require(content.first?["text"] as? String)
    }

    /// The images of a result, decoded.
    private func images(_ result: [String: Any]) throws -> [DecodedImage] {
        let content = try #require(result["content"] as? [[String: Any]])
        return try content.filter { $0["type"] as? String == "image" }.map { part in
            let data = try #require(Data(base64Encoded: part["data"] as? String ?? ""))
            let image = try ImageDecoder.decode([UInt8](data))
            #expect(part["mimeType"] as? String == image.format.mimeType)
            return image
        }
    }

    private func code(_ answer: TestResponse) throws -> Int {
        try #require(
            (try answer.object()["error"] as? [String: Any])?["code"] as? Int, "\(answer.text)")
    }

    @Test("a conversation begins with versions and tools")
    func introduction() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for (wanted, given) in [("2025-03-26", "2025-03-26"), ("2099-01-01", "2025-11-25")] {
                let answer = try await client.post(
                    "/mcp",
                    message("initialize", #"{"protocolVersion": "\#(wanted)", "capabilities": {}}"#)
                )
                let result = try result(answer)
                #expect(result["protocolVersion"] as? String == given)
                #expect((result["serverInfo"] as? [String: Any])?["version"] as? String == "1.2.3")
                #expect((answer.headers[Self.session] ?? "").utf8.count > 20)
            }
            let begun = #"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#
            #expect(try await client.post("/mcp", begun).status == .accepted)
            #expect(try result(try await client.post("/mcp", message("ping"))).isEmpty)
            let list = try result(try await client.post("/mcp", message("tools/list")))
            let tools = try #require(list["tools"] as? [[String: Any]])
            #expect(
                tools.compactMap { $0["name"] as? String } == [
                    "generate_image", "edit_image", "list_models", "list_loras", "get_job",
                    "cancel_job",
                ])
            for tool in tools {
                let schema = try #require(tool["inputSchema"] as? [String: Any])
                let known = try #require(schema["properties"] as? [String: Any])
                for name in try #require(schema["required"] as? [String]) {
                    #expect(known[name] != nil)
                }
            }
        }
    }

    @Test("images come with names, and an edit takes one of them")
    func generateAndEdit() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let answer = try await client.post(
                "/mcp",
                call(
                    "generate_image",
                    #"{"prompt": "a red circle", "size": "32x16", "n": 2, "seed": 5, "format": "png"}"#
                ))
            let made = try result(answer)
            #expect(made["isError"] as? Bool == false)
            let pictures = try images(made)
            #expect(pictures.map(\.format) == [.png, .png])
            #expect(pictures.allSatisfy { $0.image.width == 32 && $0.image.height == 16 })
            let structure = try #require(made["structuredContent"] as? [String: Any])
            let rows = try #require(structure["images"] as? [[String: Any]])
            #expect(rows.compactMap { $0["seed"] as? String } == ["5", "6"])
            let name = try #require(rows[1]["name"] as? String)
            #expect(try text(made).contains("\(name) (seed 6)"))
            // By the name of the image, and by its file.
            let file = Data(try ImageEncoder.encode(pictures[1].image)).base64EncodedString()
            for (number, image) in [name, file, "data:image/png;base64," + file].enumerated() {
                let edited = try result(
                    try await client.post(
                        "/mcp",
                        call(
                            "edit_image",
                            #"{"prompt": "blue", "image": "\#(image)", "strength": 0.5}"#)))
                #expect(edited["isError"] as? Bool == false, "\(number)")
                #expect(try images(edited).map(\.format) == [.jpeg])
                let request = try #require(generator.requests.last)
                #expect(request.source?.image == pictures[1].image)
                #expect(request.strength == 0.5)
            }
            let job = try #require(structure["job"] as? String)
            let again = try result(
                try await client.post("/mcp", call("get_job", #"{"job": "\#(job)"}"#)))
            #expect(try images(again).count == 2)
        }
    }

    @Test("steps are reported to clients that ask, and the result is the last event")
    func progress() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let events = try await client.post(
                "/mcp",
                call(
                    "generate_image", #"{"prompt": "a circle", "n": 2}"#, id: 7,
                    meta: #"{"progressToken": "t"}"#),
                headers: [.accept: "application/json, text/event-stream"]
            ).events()
            #expect(events.allSatisfy { $0.name == "message" })
            let messages = events.map(\.data)
            let notes = messages.dropLast().compactMap { $0["params"] as? [String: Any] }
            let done = notes.compactMap { $0["progress"] as? Int }
            #expect(
                done.count == messages.count - 1 && done == done.sorted()
                    && Set(done).count == done.count)
            #expect(done.last == 8 && notes.allSatisfy { $0["total"] as? Int == 8 })
            #expect(notes.allSatisfy { $0["progressToken"] as? String == "t" })
            #expect(messages.last?["id"] as? Int == 7 && messages.last?["result"] != nil)
        }
    }

    @Test("what goes wrong in a tool is a result that says what to do")
    func failures() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for (tool, arguments, part) in [
                ("generate_image", "{}", "prompt is required"),
                (
                    "generate_image", #"{"prompt": "a", "colour": "red"}"#,
                    "has no argument \"colour\""
                ),
                ("generate_image", #"{"prompt": "a", "size": "17x16"}"#, "multiple"),
                ("generate_image", #"{"prompt": "a", "model": "none"}"#, "available: tiny"),
                ("generate_image", #"{"prompt": "a", "format": "gif"}"#, "jpeg, png, webp"),
                ("edit_image", #"{"prompt": "a"}"#, "image is required"),
                ("edit_image", #"{"prompt": "a", "image": "none/0"}"#, "no image none/0"),
                ("edit_image", #"{"prompt": "a", "image": "§"}"#, "base64"),
                ("get_job", "{}", "job is required"),
                ("get_job", #"{"job": "none"}"#, "There is no job \"none\""),
            ] {
                let result = try result(try await client.post("/mcp", call(tool, arguments)))
                #expect(result["isError"] as? Bool == true, "\(arguments)")
                let sentence = try text(result)
                #expect(sentence.contains(part), "\(sentence)")
            }
            let models = try result(try await client.post("/mcp", call("list_models", "{}")))
            #expect(try text(models).contains("tiny (32x16, 4 steps)"))
            let loras = try result(try await client.post("/mcp", call("list_loras", "{}")))
            #expect(try text(loras).contains("no LoRA"))
        }
    }

    @Test("messages that are none, and unknown methods, tools and versions")
    func refusals() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for (body, status, number) in [
                ("{", 400, -32700), ("[]", 400, -32600),
                (#"{"id": 1, "method": "ping"}"#, 400, -32600),
                (#"{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}"#, 400, -32600),
                (#"{"jsonrpc": "2.0", "id": 1}"#, 400, -32600),
                (#"{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}"#, 400, -32602),
                (message("resources/list"), 200, -32601), (message("tools/call"), 200, -32602),
                (call("draw", "{}"), 200, -32602), (call("get_job", "[]"), 200, -32602),
            ] {
                let answer = try await client.post("/mcp", body)
                #expect(answer.status.code == status, "\(body)")
                #expect(try code(answer) == number, "\(body)")
            }
            let version = HTTPField.Name("mcp-protocol-version") ?? .age
            let answer = try await client.post(
                "/mcp", message("ping", id: 4), headers: [version: "2026-07-28"])
            #expect(answer.status == .badRequest)
            #expect(try code(answer) == -32022)
            #expect(try answer.object()["id"] as? Int == 4)
            #expect(answer.text.contains("2025-06-18"))
        }
    }

    @Test("a call is cancelled by a message of its session and no other")
    func cancellation() async throws {
        let generator = try FakeGenerator(.pause)
        try await withGateway(generator) { client in
            let running = Task {
                try await client.post(
                    "/mcp", call("generate_image", #"{"prompt": "a"}"#, id: 9),
                    headers: [Self.session: "mine"])
            }
            var beginnings = generator.beginnings.makeAsyncIterator()
            await beginnings.next()
            func cancel(_ session: String, _ id: Int) async throws {
                let note =
                    #"{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": \#(id)}}"#
                let answer = try await client.post("/mcp", note, headers: [Self.session: session])
                #expect(answer.status == .accepted)
            }
            try await cancel("other", 9)
            try await cancel("mine", 8)
            let list = try await client.get("/api/jobs").object()
            #expect((list["data"] as? [[String: Any]])?.first?["state"] as? String == "running")
            try await cancel("mine", 9)
            let answer = try await running.value
            #expect(try code(answer) == -32800)
        }
    }
}
