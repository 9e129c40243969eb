// Part of Inkstone. Licence: see LICENSE.

import Catalog
import ControlMaps
import Engine
import Foundation
import Gateway
import HTTPTypes
import Imaging
import Parameters
import Testing

/// ControlNets over HTTP: A1111's units and lists, and controls of the other dialects.
@Suite("ControlNets over HTTP", .timeLimit(.minutes(5)))
struct ControlRouteTests {
    private static let nets = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/control")

    private func withNets(
        _ generator: FakeGenerator, _ test: @Sendable (TestClient) async throws -> Void
    ) async throws {
        try await withGateway(
            generator, forecaster: generator,
            configure: { $0.controlNets = ControlNetRegistry(folder: Self.nets) }, test: test)
    }

    /// A picture with edges, in the size of the tiny model's images.
    private func picture(_ width: Int = 32, _ height: Int = 16) throws -> RGBImage {
        var pixels: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width {
                let isInside = x > width / 4 && x < width / 2 && y > 3 && y < height - 4
                pixels += isInside ? [250, 240, 30] : [10, 20, 60]
            }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }

    private func base64(_ image: RGBImage) throws -> String {
        Data(try ImageEncoder.encode(image)).base64EncodedString()
    }

    private func decoded(_ file: Data?) throws -> RGBImage {
        try ImageDecoder.decode([UInt8](try #require(file))).flattened()
    }

    // MARK: - A1111

    @Test("lists of nets, modules and types, as the extension gives them")
    func lists() async throws {
        try await withNets(try FakeGenerator()) { client in
            let names = ["net-1.0", "net-2.0", "net-2.1", "net-lite"]
            let models = try await client.get("/controlnet/model_list").object()
            #expect(models["model_list"] as? [String] == names)
            let modules = try await client.get("/controlnet/module_list").object()
            #expect((modules["module_list"] as? [String])?.contains("scribble_xdog") == true)
            let detail = (modules["module_detail"] as? [String: Any])?["canny"] as? [String: Any]
            #expect((detail?["sliders"] as? [Any])?.count == 2)
            let types = try await client.get("/controlnet/control_types").object()
            let canny = (types["control_types"] as? [String: Any])?["Canny"] as? [String: Any]
            #expect(canny?["default_option"] as? String == "canny")
            #expect(canny?["model_list"] as? [String] == ["None"] + names)
            #expect(
                try await client.get("/controlnet/version").object()["version"] as? Int == 2)
        }
    }

    @Test("detect returns the map")
    func detect() async throws {
        let picture = try picture()
        let text = try base64(picture)
        try await withNets(try FakeGenerator()) { client in
            // The client's usual thresholds, of which the second is out of the module's range.
            let answer = try await client.post(
                "/controlnet/detect",
                """
                {"controlnet_module": "scribble_xdog", "controlnet_images": ["\(text)"],
                 "controlnet_processor_res": 512, "controlnet_threshold_a": 500,
                 "controlnet_threshold_b": 64}
                """
            ).object()
            let file = (answer["images"] as? [String])?.first.flatMap {
                Data(base64Encoded: $0)
            }
            #expect(try decoded(file) == Preprocessor.scribble.map(of: picture))
            for body in [
                #"{"controlnet_module": "openpose", "controlnet_images": ["x"]}"#,
                #"{"controlnet_module": "canny", "controlnet_images": []}"#,
                #"{"controlnet_module": "canny", "controlnet_images": ["x"]}"#,
            ] {
                let refused = try await client.post("/controlnet/detect", body)
                #expect(refused.status == .unprocessableContent, "\(body)")
            }
        }
    }

    @Test("a unit becomes a control with its map in the size of the image, and is in the text")
    func unit() async throws {
        let (picture, generator) = (try picture(64, 64), try FakeGenerator())
        let text = try base64(picture)
        try await withNets(generator) { client in
            let answer = try await client.post(
                "/sdapi/v1/txt2img",
                """
                {"prompt": "a circle", "alwayson_scripts": {"ControlNet": {"args": [
                  {"image": "\(text)", "mask": null, "module": "canny", "model": "net-1.0 [1a2b]",
                   "weight": 0.7, "resize_mode": "Crop and Resize", "low_vram": false,
                   "processor_res": 512, "threshold_a": 64, "threshold_b": 64,
                   "guidance_start": 0.1, "guidance_end": 0.8, "control_mode": "Balanced",
                   "pixel_perfect": false, "hr_option": "Both", "enabled": true},
                  {"enabled": false, "module": "canny"},
                  {"enabled": true, "image": {"image": "\(text)", "mask": null},
                   "module": "None", "model": "net-lite.safetensors"}
                ]}}}
                """)
            #expect(answer.status == .ok, "\(answer.text)")
            let info = try #require(try answer.object()["info"] as? String)
            #expect(
                info.contains(
                    #"ControlNet 0: \"Module: canny, Model: net-1.0, Weight: 0.7, Guidance Start:"#
                ) || info.contains("Module: canny, Model: net-1.0, Weight: 0.7"))
        }
        let controls = try #require(generator.requests.first).controls
        #expect(controls.map(\.model) == ["net-1.0", "net-lite"])
        #expect(controls.map(\.type) == ["canny", "none"])
        #expect((controls[0].strength, controls[0].start, controls[0].end) == (0.7, 0.1, 0.8))
        let fitted = try Fitting.crop.fitted(picture, width: 32, height: 16)
        #expect(
            try decoded(controls[0].map) == Preprocessor.canny.map(of: fitted, [64, 64]))
        #expect(try decoded(controls[1].map) == fitted)
    }

    @Test("inpaint_only repaints the image of img2img where its mask is white")
    func inpaint() async throws {
        let (picture, generator) = (try picture(), try FakeGenerator())
        let text = try base64(picture)
        let mask = try RGBImage(width: 32, height: 16, filledWith: (255, 255, 255))
        let maskText = try base64(mask)
        try await withNets(generator) { client in
            let answer = try await client.post(
                "/sdapi/v1/img2img",
                """
                {"prompt": "a circle", "init_images": ["\(text)"], "mask": "\(maskText)",
                 "alwayson_scripts": {"controlnet": {"args": [
                  {"module": "inpaint_only", "model": "net-2.1"},
                  {"module": "canny", "model": "net-2.0"}]}}}
                """)
            #expect(answer.status == .ok, "\(answer.text)")
        }
        let controls = try #require(generator.requests.first).controls
        #expect(controls.count == 2 && controls[0].map == nil)
        #expect(try decoded(controls[0].source) == picture)
        #expect(try decoded(controls[0].mask) == mask)
        #expect(try decoded(controls[1].map) == Preprocessor.canny.map(of: picture))
    }

    @Test(
        "units that cannot be used are refused with what there is",
        arguments: [
            (#"{"module": "canny", "model": "None", "image": "IMAGE"}"#, "net-1.0, net-2.0"),
            (#"{"module": "canny", "model": "other", "image": "IMAGE"}"#, "net-1.0, net-2.0"),
            (#"{"module": "dw_openpose", "model": "net-1.0", "image": "IMAGE"}"#, "scribble_xdog"),
            (#"{"module": "canny", "model": "net-1.0"}"#, "needs an image"),
            (#"{"module": "inpaint_only", "model": "net-2.1", "image": "IMAGE"}"#, "a mask"),
            (#"{"model": "net-1.0", "image": "IMAGE", "weight": 50}"#, "between 0 and 10"),
            (
                #"{"model": "net-1.0", "image": "IMAGE", "guidance_start": 0.9, "guidance_end": 0.1}"#,
                "not end before it starts"
            ),
            (#"{"model": "net-1.0", "image": "IMAGE", "mask": "IMAGE"}"#, "inpaint_only alone"),
            (#"{"model": "net-1.0", "image": "IMAGE", "resize_mode": "Tile"}"#, "Just Resize"),
            (#"{"model": "net-1.0", "image": "%%"}"#, "base64"),
        ])
    func refused(unit: String, words: String) async throws {
        let generator = try FakeGenerator()
        let unit = unit.replacing("IMAGE", with: try base64(try picture()))
        try await withNets(generator) { client in
            let answer = try await client.post(
                "/sdapi/v1/txt2img",
                #"{"prompt": "x", "alwayson_scripts": {"controlnet": {"args": [\#(unit)]}}}"#)
            #expect(answer.status == .unprocessableContent)
            #expect(try answer.error()["message"]?.contains(words) == true, "\(answer.text)")
        }
        #expect(generator.requests.isEmpty)
    }

    // MARK: - Other dialects

    @Test(
        "controls of jobs and of OpenAI's dialect",
        arguments: ["/api/jobs", "/v1/images/generations"])
    func controls(path: String) async throws {
        let (picture, generator) = (try picture(), try FakeGenerator())
        let text = try base64(picture)
        try await withNets(generator) { client in
            let answer = try await client.post(
                path,
                """
                {"prompt": "a circle", "controls": [{"model": "net-2.1", "type": "canny",
                  "image": "data:image/png;base64,\(text)", "low": 20, "high": 60,
                  "strength": 0.5, "start": 0.25, "end": 0.75}],
                 "control_image": "\(text)", "control_model": "net-lite"}
                """)
            #expect(answer.status == (path == "/api/jobs" ? .accepted : .ok), "\(answer.text)")
            if path == "/api/jobs" {
                let rows = try #require(try answer.object()["controls"] as? [[String: Any]])
                #expect(rows.count == 2)
                #expect(rows[0]["model"] as? String == "net-2.1" && rows[0]["map"] == nil)
                for await _ in generator.beginnings { break }
            }
        }
        let controls = try #require(generator.requests.first).controls
        #expect(controls.map(\.model) == ["net-2.1", "net-lite"])
        #expect((controls[0].strength, controls[0].start, controls[0].end) == (0.5, 0.25, 0.75))
        #expect(try decoded(controls[0].map) == Preprocessor.canny.map(of: picture, [20, 60]))
        #expect(try decoded(controls[1].map) == picture)
    }

    @Test(
        "controls that cannot be used are refused",
        arguments: [
            (#""controls": 3"#, "an array of objects"),
            (#""controls": [{"image": "IMAGE"}]"#, "net-1.0, net-2.0"),
            (#""controls": [{"model": "x", "image": "IMAGE"}]"#, "no ControlNet"),
            (#""controls": [{"model": "net-1.0", "type": "pose", "image": "IMAGE"}]"#, "scribble"),
            (
                #""controls": [{"model": "net-1.0", "type": "canny", "image": "IMAGE", "low": 0}]"#,
                "between 1.0 and 2040.0"
            ),
            (#""controls": [{"model": "net-1.0", "image": "IMAGE", "fit": "x"}]"#, "stretch, crop"),
            (#""controls": [{"model": "net-1.0", "type": "grey"}]"#, "needs an image"),
            (#""control_image": "IMAGE", "control_model": "x""#, "no ControlNet"),
            (#""controls": [A, A, A, A, A]"#, "at most 4"),
            (#""controlnet_units": [{}]"#, "use controls"),
        ])
    func refusedControls(fields: String, words: String) async throws {
        let generator = try FakeGenerator()
        let text = try base64(try picture())
        let fields = fields.replacing("A,", with: #"{"model": "net-1.0", "image": "IMAGE"},"#)
            .replacing("A]", with: #"{"model": "net-1.0", "image": "IMAGE"}]"#)
            .replacing("IMAGE", with: text)
        try await withNets(generator) { client in
            let answer = try await client.post("/api/jobs", "{\"prompt\": \"x\", \(fields)}")
            #expect(answer.status == .badRequest)
            #expect(try answer.error()["message"]?.contains(words) == true, "\(answer.text)")
        }
        #expect(generator.requests.isEmpty)
    }

    @Test("an estimate needs the names of nets alone")
    func estimate() async throws {
        try await withNets(try FakeGenerator()) { client in
            let answer = try await client.post(
                "/api/estimate", #"{"prompt": "x", "controls": [{"model": "net-1.0"}]}"#)
            #expect(answer.status == .ok, "\(answer.text)")
            let unknown = try await client.post(
                "/api/estimate", #"{"prompt": "x", "controls": [{"model": "no"}]}"#)
            #expect(unknown.status == .badRequest)
        }
    }
}
