// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Imaging
import NIOCore
import Testing

/// Files without generation parameters over HTTP; the answers have them nevertheless.
@Suite("Files without parameters", .timeLimit(.minutes(5)))
struct EmbeddedParametersRouteTests {
    private func parameters(_ base64: Any?) throws -> String? {
        let file = try #require((base64 as? String).flatMap { Data(base64Encoded: $0) })
        return try ImageDecoder.decode([UInt8](file)).metadata.parameters
    }

    @Test(
        "OpenAI's route, by request and by the server's setting",
        arguments: ["png", "jpeg", "webp"])
    func openAI(format: String) async throws {
        for embeds in [true, false] {
            try await withGateway(
                try FakeGenerator(), configure: { $0.embedsParameters = embeds }
            ) { client in
                func embedded(_ field: String) async throws -> String? {
                    let answer = try await client.post(
                        "/v1/images/generations",
                        #"{"prompt": "a cat", "seed": 7, "response_format": "b64_json", "output_format": "\#(format)"\#(field)}"#
                    ).object()
                    let image = try #require((answer["data"] as? [[String: Any]])?.first)
                    #expect(image["seed"] as? Int == 7)
                    return try parameters(image["b64_json"])
                }
                let usual = try await embedded("") != nil
                #expect(usual == embeds)
                #expect(try await embedded(#", "embed_parameters": true"#) != nil)
                #expect(try await embedded(#", "embed_parameters": false"#) == nil)
                let unstated = try await embedded(#", "embed_parameters": null"#) != nil
                #expect(unstated == embeds)
            }
        }
    }

    @Test("a job's stored image, and the formats made from it")
    func jobs() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post(
                "/v1/images/generations",
                #"{"prompt": "a cat", "embed_parameters": false, "output_format": "jpeg"}"#
            ).object()
            let image = try #require((answer["data"] as? [[String: Any]])?.first)
            let url = try #require((image["url"] as? String).flatMap(URL.init(string:)))
            for path in [url.path(), url.path().replacing(".jpeg", with: ".png")] {
                let file = try await client.get(path)
                #expect(file.status == .ok)
                #expect(
                    try ImageDecoder.decode(Array(buffer: file.body)).metadata.parameters == nil)
            }
        }
    }

    @Test("A1111's setting, which its clients send back; infotexts are in the answer")
    func a1111() async throws {
        try await withGateway(try FakeGenerator()) { client in
            func embedded(_ field: String) async throws -> String? {
                let answer = try await client.post(
                    "/sdapi/v1/txt2img", #"{"prompt": "a cat"\#(field)}"#
                ).object()
                let info = try #require(answer["info"] as? String)
                #expect(info.contains(#""infotexts":["a cat\n"#))
                return try parameters((answer["images"] as? [Any])?.first)
            }
            #expect(try await embedded("") != nil)
            #expect(
                try await embedded(#", "override_settings": {"enable_pnginfo": false}"#) == nil)
            var options = try await client.get("/sdapi/v1/options").object()
            #expect(options["enable_pnginfo"] as? Bool == true)
            options["enable_pnginfo"] = false
            let data = try JSONSerialization.data(withJSONObject: options)
            _ = try await client.post("/sdapi/v1/options", String(decoding: data, as: UTF8.self))
            #expect(try await embedded("") == nil)
            #expect(try await embedded(#", "embed_parameters": true"#) != nil)
            #expect(
                try await client.get("/sdapi/v1/options").object()["enable_pnginfo"] as? Bool
                    == false)
        }
    }

    @Test("png-info lists the LoRA files of pairs and of tags")
    func infoLoRAs() async throws {
        try await withGateway(try FakeGenerator()) { client in
            func loras(_ text: String) async throws -> [[String: Any]] {
                let image = try RGBImage(width: 1, height: 1, pixels: [1, 2, 3])
                let file = Data(
                    try ImageEncoder.encode(image, metadata: ImageMetadata(parameters: text)))
                let answer = try await client.post(
                    "/sdapi/v1/png-info", #"{"image": "\#(file.base64EncodedString())"}"#
                ).object()
                return try #require(answer["loras"] as? [[String: Any]])
            }
            let own = try await loras(
                "a <lora:no:1> cat <lora:ink:0.25:1>\nSteps: 8, Seed: 7, Size: 64x32,"
                    + " Lora weights: \"ink: 1\", Lora text weights: \"ink: 0.25\","
                    + " Version: Inkstone 0.1.0")
            #expect(own.count == 1 && own[0]["name"] as? String == "ink")
            #expect(own[0]["scale"] as? Double == 1 && own[0]["text_scale"] as? Double == 0.25)
            let other = try await loras(
                "a cat <lora:ink:0.5> <lora:oil:0.8>\nSteps: 8, Seed: 7, Size: 64x32,"
                    + " Lora hashes: \"ink: 1a2b, oil: 3c\", Version: v1.10.1")
            #expect(other.map { $0["name"] as? String } == ["ink", "oil"])
            #expect(other.map { $0["scale"] as? Double } == [0.5, 0.8])
        }
    }
}
