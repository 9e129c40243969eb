// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Imaging
import Parameters
import Testing

/// Numbers, sizes and strengths as clients of A1111's server state them.
@Suite("Fields of A1111's clients", .timeLimit(.minutes(5)))
struct A1111FieldTests {
    private func info(_ answer: TestResponse) throws -> [String: Any] {
        let text = try #require(try answer.object()["info"] as? String)
        return try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    private func image(_ answer: TestResponse, _ index: Int = 0) throws -> DecodedImage {
        let images = try #require(try answer.object()["images"] as? [String])
        return try ImageDecoder.decode([UInt8](try #require(Data(base64Encoded: images[index]))))
    }

    @Test("numbers and truth values are converted as pydantic does")
    func conversions() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            for fields in [
                #""steps": "3", "cfg_scale": "2.5", "seed": "9", "enable_hr": "False""#,
                #""steps": " 3 ", "cfg_scale": 2.5, "seed": 9.0, "enable_hr": 0"#,
                #""steps": 3.0, "cfg_scale": "25e-1", "seed": "9", "enable_hr": "off""#,
                #""steps": "+3", "cfg_scale": 2.5, "seed": 9, "enable_hr": "N", "width": "32""#,
            ] {
                let answer = try await client.post(
                    "/sdapi/v1/txt2img", "{\"prompt\": \"p\", \"send_images\": \"yes\", \(fields)}")
                #expect(answer.status == .ok, "\(fields): \(answer.text)")
            }
            let ones = try await client.post(
                "/sdapi/v1/txt2img",
                #"{"prompt": 12, "steps": true, "n_iter": true, "seed": false, "send_images": 0}"#)
            #expect(ones.status == .ok)
            #expect((try ones.object()["images"] as? [String])?.isEmpty == true)
        }
        #expect(
            generator.requests.prefix(4).allSatisfy {
                $0.steps == 3 && $0.guidanceScale == 1.5 && $0.seed == 9
            })
        let last = try #require(generator.requests.last)
        #expect(last.prompt == "12" && last.steps == 1 && last.seed == 0 && last.count == 1)
    }

    @Test(
        "what pydantic refuses is refused",
        arguments: [
            (#""steps": "3.5""#, "steps"), (#""steps": 3.5"#, "steps"),
            (#""steps": "three""#, "steps"),
            (#""cfg_scale": "nan""#, "cfg_scale"), (#""cfg_scale": []"#, "cfg_scale"),
            (#""enable_hr": 2"#, "enable_hr"), (#""enable_hr": "maybe""#, "enable_hr"),
            (#""negative_prompt": true"#, "negative_prompt"), (#""width": "1_6""#, "width"),
        ])
    func refusals(field: String, name: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post(
                "/sdapi/v1/txt2img", "{\"prompt\": \"p\", \(field)}")
            #expect(answer.status == .unprocessableContent)
            #expect(try answer.error()["param"] == name)
        }
    }

    @Test("the other dialects take JSON's types alone")
    func strict() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for field in [
                #""num_inference_steps": "3""#, #""stream": 0"#, #""guidance_scale": true"#,
            ] {
                let answer = try await client.post(
                    "/v1/images/generations", "{\"prompt\": \"p\", \(field)}")
                #expect(try answer.error()["code"] == "invalid_type")
            }
        }
    }

    @Test(
        "multiples of 8 are made in the next multiple of 16 and cropped",
        arguments: [(24, 40, 32, 48), (8, 56, 16, 64), (48, 24, 48, 32), (32, 16, 32, 16)])
    func sizes(width: Int, height: Int, madeWidth: Int, madeHeight: Int) async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let answer = try await client.post(
                "/sdapi/v1/txt2img",
                #"{"prompt": "p", "width": \#(width), "height": \#(height), "n_iter": 2}"#)
            let info = try info(answer)
            #expect(info["width"] as? Int == width && info["height"] as? Int == height)
            let extra = info["extra_generation_params"] as? [String: String]
            let isCropped = width != madeWidth || height != madeHeight
            #expect(
                extra?["Generated size"]
                    == (isCropped ? "\(madeWidth)x\(madeHeight), cropped" : nil))
            let second = try image(answer, 1)
            #expect(second.image.width == width && second.image.height == height)
            #expect(second.metadata.parameters?.contains("Size: \(width)x\(height)") == true)
            #expect((info["infotexts"] as? [String])?[1] == second.metadata.parameters)
        }
        let request = try #require(generator.requests.first)
        #expect(request.size == PixelSize(width: madeWidth, height: madeHeight))
    }

    @Test("sizes of a second pass follow those that the client states")
    func secondPass() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            for fields in [
                #""hr_scale": 1.7"#, #""hr_resize_x": 40, "hr_resize_y": 44"#,
                #""hr_resize_x": 56"#,
            ] {
                let answer = try await client.post(
                    "/sdapi/v1/txt2img",
                    #"{"prompt": "p", "width": 24, "height": 24, "enable_hr": true, \#(fields)}"#)
                #expect(answer.status == .ok, "\(answer.text)")
            }
        }
        // 40x40, 40x40 and 56x56, in multiples of 16.
        #expect(generator.requests.map { $0.secondPass?.size.width } == [48, 48, 64])
        #expect(generator.requests.allSatisfy { $0.size == PixelSize(width: 32, height: 32) })
    }

    @Test("sides that are not multiples of 8 are refused", arguments: [7, 0, -8, 20, 72])
    func badSizes(side: Int) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post(
                "/sdapi/v1/txt2img", #"{"prompt": "p", "height": \#(side)}"#)
            let error = try answer.error()
            #expect(
                error["param"] == "height" && error["message"]?.contains("multiple of 8") == true)
        }
    }

    @Test("a source image keeps its place in an image that is cropped")
    func croppedSource() async throws {
        let generator = try FakeGenerator()
        let pixels: [UInt8] = (0..<960).flatMap { (place: Int) -> [UInt8] in
            [UInt8(place % 24), UInt8(place / 24), 7]
        }
        let picture = try RGBImage(width: 24, height: 40, pixels: pixels)
        let file = Data(try ImageEncoder.encode(picture)).base64EncodedString()
        try await withGateway(generator) { client in
            let answer = try await client.post(
                "/sdapi/v1/img2img",
                #"{"prompt": "p", "width": 24, "height": 40, "init_images": ["\#(file)"], "mask": "\#(file)"}"#
            )
            #expect(answer.status == .ok)
            #expect(try image(answer).image.width == 24)
        }
        let source = try #require(generator.requests.first?.source)
        for image in [source.image, try #require(source.mask)] {
            #expect(image.width == 32 && image.height == 48)
            #expect(try image.cropped(x: 0, y: 0, width: 24, height: 40) == picture)
            #expect(image[31, 47] ?? (0, 0, 0) == (23, 39, 7))
        }
    }

    @Test("strength 0 returns the source image, and less than a step is one step")
    func strengths() async throws {
        let generator = try FakeGenerator()
        let picture = try RGBImage(
            width: 40, height: 24,
            pixels: (0..<960).flatMap { (place: Int) -> [UInt8] in [UInt8(place % 40), 5, 9] })
        let file = Data(try ImageEncoder.encode(picture)).base64EncodedString()
        try await withGateway(generator) { client in
            for strength in ["0", "0.0", "\"0\"", "false"] {
                let answer = try await client.post(
                    "/sdapi/v1/img2img",
                    """
                    {"prompt": "p", "width": 40, "height": 24, "init_images": ["\(file)"], "n_iter": 2,
                     "seed": 4, "denoising_strength": \(strength)}
                    """)
                #expect(answer.status == .ok, "\(answer.text)")
                for index in 0...1 { #expect(try image(answer, index).image == picture) }
                let info = try info(answer)
                #expect(info["denoising_strength"] as? Double == 0)
                #expect(info["all_seeds"] as? [Int] == [4, 5])
                let extra = info["extra_generation_params"] as? [String: String]
                #expect(extra?["Denoising strength 0"] != nil)
            }
            #expect(generator.requests.isEmpty, "nothing is sampled")
            let bad = try await client.post(
                "/sdapi/v1/img2img",
                #"{"prompt": "p", "steps": 99, "init_images": ["\#(file)"], "denoising_strength": 0}"#
            )
            #expect(try bad.error()["param"] == "steps")
            for steps in [3, 7, 20] {
                let answer = try await client.post(
                    "/sdapi/v1/img2img",
                    #"{"prompt": "p", "steps": \#(steps), "init_images": ["\#(file)"], "denoising_strength": 0.01}"#
                )
                #expect(answer.status == .ok, "\(answer.text)")
            }
        }
        #expect(generator.requests.map(\.evaluations) == [1, 1, 1])
    }
}
