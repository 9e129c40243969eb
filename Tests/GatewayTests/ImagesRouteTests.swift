// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Imaging
import NIOCore
import Parameters
import Testing

@Suite struct ImagesRouteTests {
    private let path = "/v1/images/generations"

    @Test("a prompt alone generates one image at a URL, with the model's defaults")
    func promptAlone() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let response = try await client.post(path, #"{"prompt": "a kite"}"#)
            #expect(response.status == .ok)
            #expect(response.headers[.cacheControl] == "no-store")
            let answer = try response.object()
            #expect(answer["size"] as? String == "32x16")
            #expect(answer["output_format"] as? String == "png")
            #expect(answer["model"] as? String == "tiny")
            #expect((answer["created"] as? Int ?? 0) > 1_600_000_000)
            let picture = try #require((answer["data"] as? [[String: Any]])?.first)
            #expect(picture["b64_json"] == nil)
            let url = try #require((picture["url"] as? String).flatMap(URL.init(string:)))
            #expect(url.scheme == "http" && url.host() == "localhost")
            let file = try await client.get(url.path())
            #expect(file.status == .ok)
            #expect(file.headers[.contentType] == "image/png")
            let decoded = try ImageDecoder.decode(Array(buffer: file.body))
            #expect(decoded.image.width == 32 && decoded.image.height == 16)
            let text = try #require(decoded.metadata.parameters)
            let parameters = try #require(GenerationParameters(parsing: text))
            #expect(parameters.prompt == "a kite")
            #expect(parameters.seed == generator.requests.first?.seed)
            #expect(parameters.version == "Inkstone \(Engine.version)")
        }
        #expect(generator.requests.first?.steps == 4)
    }

    @Test("every field and alias reaches the engine")
    func fields() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let response = try await client.post(
                path,
                """
                {"prompt": "p", "negative_prompt": "q", "model": "maker/large", "n": 3, "seed": 40,
                 "size": "48x64", "num_inference_steps": 7, "guidance_scale": 2.5, "user": "u",
                 "cfg_normalization": 1, "cfg_truncation": 0.5, "response_format": "b64_json",
                 "style": null, "unknown": {"nested": [1, 2]}}
                """)
            #expect(response.status == .ok)
            let data = try #require(try response.object()["data"] as? [[String: Any]])
            #expect(data.map { $0["seed"] as? Int } == [40, 41, 42])
            for picture in data {
                let bytes = try #require(Data(base64Encoded: picture["b64_json"] as? String ?? ""))
                #expect(ImageFormat(sniffing: bytes) == .png)
                #expect((picture["timings"] as? [String: Any])?["decode"] as? Double == 0.125)
            }
            _ = try await client.post(
                path, #"{"prompt": "p", "steps": 3, "cfg_scale": 4, "size": "64*32", "width": 16}"#)
            _ = try await client.post(
                path,
                #"{"prompt": ["p"], "seed": [9], "kwargs": "{\"steps\": 2, \"seed\": 5}", "n": null}"#
            )
            _ = try await client.post(
                path, #"{"prompt": "p", "size": "auto", "cfg_scale": 0.5, "seed": -1}"#)
        }
        let requests = generator.requests
        try #require(requests.count == 4)
        #expect(requests[0].negativePrompt == "q")
        #expect(requests[0].size == PixelSize(width: 48, height: 64))
        #expect(requests[0].steps == 7 && requests[0].count == 3)
        #expect(requests[0].guidanceScale == 2.5)
        #expect(requests[0].cfgNormalization == 1 && requests[0].cfgTruncation == 0.5)
        #expect(requests[1].steps == 3)
        #expect(requests[1].guidanceScale == 3, "a cfg scale is the guidance plus one")
        #expect(requests[1].size == PixelSize(width: 16, height: 32))
        #expect(requests[2].steps == 2, "kwargs count where the body is silent")
        #expect(requests[2].seed == 9, "the body counts more than kwargs")
        #expect(requests[3].guidanceScale == 0)
        #expect(requests[3].size == PixelSize(width: 32, height: 16))
    }

    @Test("images have the requested format", arguments: ["png", "jpeg", "webp"])
    func formats(format: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.post(
                path,
                """
                {"prompt": "a kite", "output_format": "\(format)", "output_compression": 80,
                 "response_format": "b64_json"}
                """)
            let answer = try response.object()
            #expect(answer["output_format"] as? String == format)
            let picture = try #require((answer["data"] as? [[String: Any]])?.first)
            let data = try #require(Data(base64Encoded: picture["b64_json"] as? String ?? ""))
            #expect(ImageFormat(sniffing: data)?.rawValue == format)
            let decoded = try ImageDecoder.decode(Array(data))
            #expect(decoded.metadata.parameters?.hasPrefix("a kite") == true)
        }
    }

    @Test("half an emoji in a prompt becomes the replacement character")
    func loneSurrogates() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            for prompt in [
                #"a\ud83d"#, #"\ude00b"#, #"\ud83d\ude00"#, #"\ud83d\ud83d\ude00"#, #"\\ud83d"#,
                #"\uD83Dx\u00e9"#,
            ] {
                let response = try await client.post(path, #"{"prompt": "\#(prompt)"}"#)
                #expect(response.status == .ok)
            }
        }
        #expect(
            generator.requests.map(\.prompt) == [
                "a\u{FFFD}", "\u{FFFD}b", "😀", "\u{FFFD}😀", #"\ud83d"#, "\u{FFFD}xé",
            ])
    }

    @Test("a truncated prompt is reported")
    func truncation() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let long = String(repeating: "word ", count: 30)
            let response = try await client.post(path, #"{"prompt": "\#(long)"}"#)
            let data = try #require(try response.object()["data"] as? [[String: Any]])
            #expect(data[0]["prompt_truncated"] as? Bool == true)
        }
    }
}
