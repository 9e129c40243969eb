// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Imaging
import NIOCore
import Parameters
import Testing

/// The requests of Xinference's, A1111's and Gradio's clients, and the fields that they read in the answers.
@Suite("Dialects", .timeLimit(.minutes(5)))
struct DialectTests {
    private func json(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    // MARK: - Xinference

    @Test("progress is reported under the client's own id, before and after the end")
    func xinferenceProgress() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let unknown = try await client.get("/v1/requests/r-1/progress")
            #expect(unknown.status == .badRequest)
            let body =
                #"{"model": "tiny", "prompt": "x", "n": 1, "size": "32*16", "response_format": "b64_json", "kwargs": "{\"request_id\": \"r-1\", \"seed\": 9, \"num_inference_steps\": 2}"}"#
            let answer = try await client.post("/v1/images/generations", body)
            #expect(answer.status == .ok)
            let progress = try await client.get("/v1/requests/r-1/progress").object()
            #expect(progress["progress"] as? Double == 1)
            #expect(progress.keys.contains("eta_seconds"))
            let abort = try await client.post(
                "/v1/models/tiny/requests/r-1/abort", #"{"block_duration": 30}"#)
            #expect(try abort.object()["msg"] as? String == "NO_OP")
        }
    }

    @Test("an abort ends the call as cancelled, without a retry")
    func xinferenceAbort() async throws {
        let generator = try FakeGenerator(.hang)
        try await withGateway(generator) { client in
            async let call = client.post(
                "/v1/images/generations", #"{"prompt": "x", "request_id": "r-2"}"#)
            for await _ in generator.beginnings { break }
            let abort = try await client.post("/v1/models/tiny/requests/r-2/abort", "{}")
            #expect(try abort.object()["msg"] as? String == "DONE")
            let answer = try await call
            #expect(answer.status.code == 499)
            #expect(answer.headers[HTTPField.Name("x-should-retry") ?? .age] == "false")
        }
    }

    @Test("the cluster and its models are described")
    func xinferenceCluster() async throws {
        try await withGateway(try FakeGenerator()) { client in
            #expect(try await client.get("/v1/cluster/auth").object()["auth"] as? Bool == false)
            #expect(try await client.get("/v1/cluster/devices").text == "0")
            #expect(try await client.get("/status").object()["uptime"] is Int)
            let model = try await client.get("/v1/models/maker/large").object()
            #expect(model["model_type"] as? String == "image")
            #expect(model["model_name"] as? String == "maker/large")
            #expect(
                model["model_ability"] as? [String] == ["text2image", "image2image"])
            let launch = try await client.post(
                "/v1/models",
                #"{"model_name": "tiny", "model_type": "image", "model_uid": null, "n_gpu": "auto"}"#
            )
            #expect(try launch.object()["model_uid"] as? String == "tiny")
            let other = try await client.post("/v1/models", #"{"model_name": "FLUX.1-dev"}"#)
            #expect(other.status == .notFound)
        }
    }

    // MARK: - A1111

    @Test("txt2img answers as the web UI does")
    func txt2img() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let answer = try await client.post(
                "/sdapi/v1/txt2img",
                """
                {"prompt": "a cat", "negative_prompt": "dog", "seed": 5, "steps": 3, "cfg_scale": 3,
                 "width": 32, "height": 32, "batch_size": 2, "n_iter": 2, "sampler_name": "Euler",
                 "override_settings": {"sd_model_checkpoint": "maker/large"}, "enable_hr": false,
                 "script_name": null, "alwayson_scripts": {}}
                """, headers: [.authorization: ""])
            #expect(answer.status == .ok)
            let body = try answer.object()
            let images = try #require(body["images"] as? [String])
            #expect(images.count == 4)
            let file = try #require(Data(base64Encoded: images[1]))
            let parameters = try #require(
                try ImageDecoder.decode([UInt8](file)).metadata.parameters)
            #expect(parameters.contains("CFG scale: 3") && parameters.contains("Seed: 6"))
            let info = try json(try #require(body["info"] as? String))
            #expect(info["all_seeds"] as? [Int] == [5, 6, 7, 8])
            #expect(info["sd_model_name"] as? String == "maker/large")
            #expect((info["infotexts"] as? [String])?[1] == parameters)
            // A file's text can be read back.
            let read = try await client.post("/sdapi/v1/png-info", #"{"image": "\#(images[1])"}"#)
            #expect(try read.object()["info"] as? String == parameters)
        }
        let request = try #require(generator.requests.first)
        #expect(request.guidanceScale == 2 && request.count == 4 && request.steps == 3)
    }

    @Test("img2img crops or stretches, with the client's strength")
    func img2img() async throws {
        let generator = try FakeGenerator()
        let picture = try RGBImage(
            width: 64, height: 16, pixels: (0..<(64 * 16)).flatMap { [UInt8($0 % 64 * 4), 2, 3] })
        let file = Data(try ImageEncoder.encode(picture)).base64EncodedString()
        try await withGateway(generator) { client in
            for mode in 0...1 {
                let answer = try await client.post(
                    "/sdapi/v1/img2img",
                    """
                    {"prompt": "x", "init_images": ["data:image/png;base64,\(file)"], "width": 32,
                     "height": 32, "resize_mode": \(mode), "denoising_strength": 0.5}
                    """)
                #expect(answer.status == .ok)
            }
            let none = try await client.post("/sdapi/v1/img2img", #"{"prompt": "x"}"#)
            #expect(none.status == .notFound)
        }
        let sources = generator.requests.map(\.source)
        #expect(generator.requests.map(\.strength) == [0.5, 0.5])
        let middle = try picture.cropped(x: 24, y: 0, width: 16, height: 16)
        #expect(
            sources.map { $0?.image }
                == (try [picture, middle].map {
                    try $0.resized(width: 32, height: 32)
                }))
    }

    @Test("img2img accepts a mask, inverted on request")
    func mask() async throws {
        let generator = try FakeGenerator()
        let picture = try RGBImage(width: 32, height: 32, filledWith: (1, 2, 3))
        let file = Data(try ImageEncoder.encode(picture)).base64EncodedString()
        try await withGateway(generator) { client in
            for invert in 0...1 {
                let answer = try await client.post(
                    "/sdapi/v1/img2img",
                    """
                    {"prompt": "x", "init_images": ["\(file)"], "mask": "\(file)", "mask_blur": 4,
                     "inpainting_mask_invert": \(invert)}
                    """)
                #expect(answer.status == .ok)
            }
        }
        let masks = generator.requests.map { $0.source?.mask }
        #expect(masks[0] == picture)
        #expect(masks[1]?.pixels.prefix(3) == [254, 253, 252])
    }

    @Test("of a mask with transparency the opaque part counts, whatever its colours")
    func transparentMask() async throws {
        let generator = try FakeGenerator()
        let fixture = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/imaging/rgba8.png")
        let file = try Data(contentsOf: fixture)
        let decoded = try ImageDecoder.decode([UInt8](file))
        let (width, height) = (decoded.image.width, decoded.image.height)
        let source = try ImageEncoder.encode(
            try RGBImage(width: width, height: height, filledWith: (1, 2, 3)))
        try await withGateway(generator) { client in
            let answer = try await client.post(
                "/sdapi/v1/img2img",
                """
                {"prompt": "x", "init_images": ["\(Data(source).base64EncodedString())"],
                 "mask": "\(file.base64EncodedString())"}
                """)
            #expect(answer.status == .ok)
        }
        let size = try #require(generator.requests.first?.size)
        let opaque = try RGBImage(
            width: width, height: height,
            pixels: try #require(decoded.alpha).flatMap { alpha -> [UInt8] in
                let value: UInt8 = alpha > 128 ? 255 : 0
                return [value, value, value]
            })
        let expected = try opaque.resized(width: size.width, height: size.height)
        #expect(generator.requests.first?.source?.mask == expected)
    }

    @Test("idle progress is 0 and 0; interrupting nothing is fine")
    func idle() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let progress = try await client.get(
                "/sdapi/v1/progress?skip_current_image=false"
            ).object()
            #expect(progress["progress"] as? Double == 0)
            #expect((progress["state"] as? [String: Any])?["job_count"] as? Int == 0)
            let interrupt = try await client.execute(
                uri: "/sdapi/v1/interrupt", method: .post)
            #expect(interrupt.status == .ok)
        }
    }

    @Test("interrupt ends this dialect's calls only")
    func interrupt() async throws {
        let generator = try FakeGenerator(.hang)
        try await withGateway(generator) { client in
            let other = try #require(
                try await client.post("/api/jobs", #"{"prompt": "y"}"#).object()["id"] as? String)
            async let call = client.post("/sdapi/v1/txt2img", #"{"prompt": "x"}"#)
            var begun = 0
            for await _ in generator.beginnings {
                begun += 1
                if begun == 2 { break }
            }
            let busy = try await client.get("/sdapi/v1/progress").object()
            #expect((busy["state"] as? [String: Any])?["job_count"] as? Int == 1)
            _ = try await client.post("/sdapi/v1/interrupt", "")
            #expect(try await call.status.code == 499)
            let job = try await client.get("/api/jobs/\(other)").object()
            #expect(job["state"] as? String == "running")
        }
    }

    @Test("clients send all settings back with one changed")
    func options() async throws {
        try await withGateway(try FakeGenerator()) { client in
            var options = try await client.get("/sdapi/v1/options").object()
            #expect(options["sd_model_checkpoint"] as? String == "tiny")
            options["sd_model_checkpoint"] = "maker/large"
            options["samples_format"] = "webp"
            let text = try #require(
                String(
                    data: try JSONSerialization.data(withJSONObject: options), encoding: .utf8))
            #expect(try await client.post("/sdapi/v1/options", text).status == .ok)
            let changed = try await client.get("/sdapi/v1/options").object()
            #expect(changed["sd_model_checkpoint"] as? String == "maker/large")
            let answer = try await client.post("/sdapi/v1/txt2img", #"{"prompt": "x"}"#).object()
            let image = try #require((answer["images"] as? [String])?.first)
            let file = try #require(Data(base64Encoded: image))
            #expect(ImageFormat(sniffing: [UInt8](file)) == .webp)
            let unknown = try await client.post(
                "/sdapi/v1/options", #"{"sd_model_checkpoint": "none"}"#)
            #expect(unknown.status == .notFound)
        }
    }

    @Test(
        "lists have the entries that clients read",
        arguments: [
            ("sd-models", "title"), ("sd-models", "model_name"), ("samplers", "aliases"),
            ("schedulers", "label"), ("upscalers", "name"),
        ])
    func lists(name: String, key: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let text = try await client.get("/sdapi/v1/\(name)").text
            let rows = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
            #expect(!rows.isEmpty && rows.allSatisfy { $0.keys.contains(key) })
        }
    }

    @Test(
        "an invalid request is 422 with a message",
        arguments: [
            #"{"prompt": "<lora:missing:0.8> a cat"}"#, #"{"prompt": "x", "tiling": true}"#,
            #"{"prompt": "x", "width": 33}"#, #"{"prompt": "x", "batch_size": 0}"#,
            #"{"prompt": "x", "script_name": "xyz plot"}"#, #"{"prompt": ["x", "y"]}"#,
        ])
    func refused(body: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post("/sdapi/v1/txt2img", body)
            #expect(answer.status == .unprocessableContent)
            #expect(try answer.error()["message"]?.isEmpty == false)
        }
    }

    // MARK: - Gradio

    private func messages(_ text: String) throws -> [[String: Any]] {
        try text.components(separatedBy: "\n\n").dropLast().map { frame in
            // Nothing but data lines: these clients stumble over anything else.
            try #require(frame.hasPrefix("data: ") && !frame.contains("\n"), "\(frame)")
            return try json(String(frame.dropFirst(6)))
        }
    }

    @Test("every component that the function names exists")
    func gradioConfig() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let config = try await client.get("/config").object()
            let ids = try #require(config["components"] as? [[String: Any]]).map {
                $0["id"] as? Int
            }
            let function = try #require((config["dependencies"] as? [[String: Any]])?.first)
            let used =
                (function["inputs"] as? [Int] ?? []) + (function["outputs"] as? [Int] ?? [])
            #expect(used.count == 14 && used.allSatisfy(ids.contains))
            let info = try await client.get("/gradio_api/info?serialize=False").object()
            let named = try #require(info["named_endpoints"] as? [String: [String: Any]])
            let parameters = try #require(named["/generate"]?["parameters"] as? [[String: Any]])
            #expect(parameters.count == 12)
            #expect(parameters[0]["parameter_has_default"] as? Bool == false)
        }
    }

    @Test("an event is joined, followed with previews, and its files fetched")
    func gradioRun() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for turn in 0..<2 {
                let joined = try await client.post(
                    "/gradio_api/queue/join",
                    #"{"data": ["a cat", "", 5, 32, 16, 3, 0, 1], "fn_index": 0, "session_hash": "s"}"#
                )
                let event = try #require(try joined.object()["event_id"] as? String)
                let stream = try await client.get("/gradio_api/queue/data?session_hash=s")
                let told = try messages(stream.text)
                let names = told.compactMap { $0["msg"] as? String }
                #expect(names.last == "close_stream", "turn \(turn)")
                #expect(names.filter { $0 == "progress" }.count == 3)
                let generating = told.filter { $0["msg"] as? String == "process_generating" }
                #expect(generating.count >= 2)
                let done = try #require(told.first { $0["msg"] as? String == "process_completed" })
                #expect(done["event_id"] as? String == event && done["success"] as? Bool == true)
                let data = try #require((done["output"] as? [String: Any])?["data"] as? [Any])
                #expect(data[1] as? Int == 5)
                let image = try #require((data[0] as? [[String: Any]])?.first?["image"])
                let path = try #require((image as? [String: Any])?["path"] as? String)
                let file = try await client.get("/gradio_api/file=\(path)")
                #expect(file.headers[.contentType] == "image/png")
            }
            let none = try await client.get("/gradio_api/file=/etc/passwd")
            #expect(none.status == .notFound)
        }
    }

    @Test("an invalid input is a failed run with a message; a missing session is refused")
    func gradioErrors() async throws {
        try await withGateway(try FakeGenerator()) { client in
            _ = try await client.post(
                "/gradio_api/queue/join",
                #"{"data": ["a cat", "", 5, 33, 16, 3, 0, 1], "session_hash": "t"}"#)
            let told = try messages(
                try await client.get("/gradio_api/queue/data?session_hash=t").text)
            let done = try #require(told.first { $0["msg"] as? String == "process_completed" })
            #expect(done["success"] as? Bool == false)
            let text = (done["output"] as? [String: Any])?["error"] as? String
            #expect(text?.contains("multiple of 16") == true)
            let refused = try await client.post("/gradio_api/queue/join", #"{"data": ["x"]}"#)
            #expect(refused.status == .badRequest)
        }
    }

    @Test("curl's two calls")
    func gradioCall() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let call = try await client.post(
                "/gradio_api/call/generate", #"{"data": ["a cat"]}"#)
            let id = try #require(try call.object()["event_id"] as? String)
            let text = try await client.get("/gradio_api/call/generate/\(id)").text
            #expect(text.contains("event: complete\ndata: [["))
        }
    }
}
