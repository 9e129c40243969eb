// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import Gateway
import HTTPTypes
import Hummingbird
import NIOCore
import Parameters
import Testing

/// The list of LoRA files, and requests that name some.
@Suite("LoRA files over HTTP")
struct LoRARouteTests {
    private static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")

    private struct Folder {
        let url = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-loras-\(UUID().uuidString)")
        var registry: LoRARegistry { LoRARegistry(folder: url, models: [LoRARouteTests.model]) }
        func remove() { try? FileManager.default.removeItem(at: url) }
    }

    private func file() throws -> ByteBuffer {
        ByteBuffer(
            bytes: try Data(contentsOf: Self.model.appending(path: "loras/pixel.safetensors")))
    }

    @Test("list, add, refuse the same name, replace, remove")
    func registry() async throws {
        let folder = Folder()
        defer { folder.remove() }
        try await withGateway(try FakeGenerator(), configure: { $0.loras = folder.registry }) {
            client in
            func names() async throws -> [String] {
                let rows = try await client.get("/api/loras").object()["loras"] as? [[String: Any]]
                #expect(
                    rows?.allSatisfy { $0["scale"] is Double && $0.keys.contains("thumbnail") }
                        == true)
                return (rows ?? []).compactMap { $0["name"] as? String }
            }
            #expect(try await names() == ["pixel", "sketch"])
            let added = try await client.execute(
                uri: "/api/loras?name=mine", method: .post, body: try file())
            #expect(added.status == .created)
            #expect(try added.object()["matched"] as? Int == 42)
            #expect(try await names() == ["mine", "pixel", "sketch"])
            let again = try await client.execute(
                uri: "/api/loras?name=mine", method: .post, body: try file())
            #expect(again.status == .conflict)
            let replaced = try await client.execute(
                uri: "/api/loras?name=mine&replace=true", method: .post, body: try file())
            #expect(replaced.status == .created)
            #expect(
                try await client.get("/sdapi/v1/loras").text.contains(#""name":"mine""#))
            for (path, status) in [
                ("/api/loras/mine", HTTPResponse.Status.noContent),
                ("/api/loras/mine", .notFound), ("/api/loras/pixel", .conflict),
                ("/api/loras/..%2F..%2Fetc", .notFound),
            ] {
                let answer = try await client.execute(uri: path, method: .delete)
                #expect(answer.status == status, "\(path)")
            }
            #expect(try await names() == ["pixel", "sketch"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == [])
        }
    }

    @Test(
        "an unusable file or name leaves nothing behind",
        arguments: ["x", "..%2Fx", ".x", "a%2Fb", ""])
    func refused(name: String) async throws {
        let folder = Folder()
        defer { folder.remove() }
        try await withGateway(try FakeGenerator(), configure: { $0.loras = folder.registry }) {
            client in
            let body = name == "x" ? ByteBuffer(string: "no safetensors file") : try file()
            let answer = try await client.execute(
                uri: "/api/loras?name=\(name)", method: .post, body: body)
            #expect(answer.status == .badRequest)
            #expect(try answer.error()["message"]?.contains(folder.url.path) == false)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == [])
        }
    }

    @Test("a file that is too large, or of another model, leaves nothing behind")
    func otherFiles() async throws {
        let folder = Folder()
        defer { folder.remove() }
        func tensor(_ end: String, _ start: Int) -> String {
            #""unet.a.lora_\#(end).weight":{"dtype":"F32","shape":[1,1],"#
                + #""data_offsets":[\#(start),\#(start + 4)]}"#
        }
        let header = Array("{\(tensor("A", 0)),\(tensor("B", 4))}".utf8)
        let foreign =
            [UInt8(header.count & 255), UInt8(header.count >> 8), 0, 0, 0, 0, 0, 0]
            + header + [UInt8](repeating: 0, count: 8)
        #expect(GatewayConfiguration(version: "1").maximumLoRABytes == 4 << 30)
        try await withGateway(
            try FakeGenerator(),
            configure: {
                $0.loras = folder.registry
                $0.maximumLoRABytes = 1000
            }
        ) { client in
            for (body, status, code) in [
                (try file(), HTTPResponse.Status.contentTooLarge, "request_too_large"),
                (ByteBuffer(bytes: foreign), .badRequest, "invalid_lora"),
            ] {
                let answer = try await client.execute(
                    uri: "/api/loras?name=x", method: .post, body: body)
                #expect(answer.status == status)
                #expect(try answer.error()["code"] == code)
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == [])
            }
        }
    }

    @Test("requests name files, with their scales or the files' own")
    func requests() async throws {
        let folder = Folder()
        defer { folder.remove() }
        let generator = try FakeGenerator()
        try await withGateway(generator, configure: { $0.loras = folder.registry }) { client in
            for (body, wanted) in [
                (
                    #""loras": [{"name": "pixel", "scale": -0.5}, {"name": "sketch"}]"#,
                    [
                        LoRAScale("pixel", scale: -0.5), LoRAScale("sketch"),
                    ]
                ),
                (#""loras": ["sketch"]"#, [LoRAScale("sketch")]),
                (
                    #""loras": "pixel:0.5, sketch""#,
                    [LoRAScale("pixel", scale: 0.5), LoRAScale("sketch")]
                ), (#""lora": "pixel""#, [LoRAScale("pixel")]), (#""loras": []"#, []),
            ] {
                let answer = try await client.post(
                    "/v1/images/generations", "{\"prompt\": \"a cat\", \(body)}")
                #expect(answer.status == .ok)
                #expect(generator.requests.last?.loras == wanted)
            }
            for body in [
                #""loras": [{"name": "missing"}]"#, #""loras": 3"#, #""loras": [3]"#,
                #""loras": [{"name": "pixel", "scale": "1"}]"#, #""loras": "pixel:x""#,
                #""loras": [{"name": "pixel", "scale": 99}]"#,
                #""loras": [{"name": "../pixel"}]"#,
            ] {
                let answer = try await client.post(
                    "/v1/images/generations", "{\"prompt\": \"a cat\", \(body)}")
                #expect(answer.status == .badRequest)
                #expect(try answer.error()["message"]?.isEmpty == false)
            }
        }
    }

    @Test("tags in prompts of A1111's clients")
    func tags() async throws {
        let folder = Folder()
        defer { folder.remove() }
        let generator = try FakeGenerator()
        try await withGateway(generator, configure: { $0.loras = folder.registry }) { client in
            for (prompt, text, loras) in [
                ("a cat <lora:pixel:0.8>", "a cat", [LoRAScale("pixel", scale: 0.8)]),
                (
                    "<lora:pixel> a cat, <lora:sketch:-1:1>, red", "a cat,, red",
                    [
                        LoRAScale("pixel"), LoRAScale("sketch", scale: 1, textScale: -1),
                    ]
                ),
                (
                    "<lyco:pixel:0.5:0.5><lora:sketch:unet=0.2>a cat", "a cat",
                    [
                        LoRAScale("pixel", scale: 0.5),
                        LoRAScale("sketch", scale: 0.2, textScale: 1),
                    ]
                ),
                (
                    "a cat<lora:pixel:te=0.3:unet=0.7><lora:sketch:te=0.6:dyn=0>", "a cat",
                    [
                        LoRAScale("pixel", scale: 0.7, textScale: 0.3),
                        LoRAScale("sketch", scale: 0.6),
                    ]
                ),
                ("a <b> cat", "a <b> cat", []),
            ] {
                let answer = try await client.post(
                    "/sdapi/v1/txt2img", "{\"prompt\": \"\(prompt)\"}")
                #expect(answer.status == .ok)
                #expect(generator.requests.last?.prompt == text)
                #expect(generator.requests.last?.loras == loras)
            }
            for prompt in [
                "<lora:missing:1> a cat", "<lora:pixel:much> a cat", "<lyco:pixel:1:much> a cat",
                "<lora:pixel:1:1:8> a cat", "<lora:pixel:te=> a cat", "<lora:pixel:vae=1> a cat",
                "<lora:pixel:1:1:0:1> a cat",
            ] {
                let answer = try await client.post(
                    "/sdapi/v1/txt2img", "{\"prompt\": \"\(prompt)\"}")
                #expect(answer.status == .unprocessableContent)
            }
        }
    }
}
