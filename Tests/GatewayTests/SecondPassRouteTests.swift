// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Imaging
import Parameters
import Testing

/// Seeds that vary and second passes under the names of every dialect.
@Suite("Second passes over HTTP", .timeLimit(.minutes(5)))
struct SecondPassRouteTests {
    @Test("A1111's fields of hires fix and of the variation seed")
    func a1111() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let answer = try await client.post(
                "/sdapi/v1/txt2img",
                """
                {"prompt": "a cat", "steps": 4, "width": 32, "height": 16, "seed": 5, "subseed": 9,
                 "subseed_strength": 0.25, "seed_resize_from_w": 64, "seed_resize_from_h": 48,
                 "enable_hr": true, "hr_scale": 2, "hr_upscaler": "Latent (bicubic)",
                 "hr_second_pass_steps": 3, "denoising_strength": 0.5, "hr_resize_x": 0,
                 "hr_resize_y": 0, "hr_sampler_name": "Heun", "hr_scheduler": "Use same scheduler",
                 "hr_prompt": "", "hr_negative_prompt": "", "hr_checkpoint_name": null}
                """)
            #expect(answer.status == .ok, "\(answer.text)")
            let text = try #require(try answer.object()["info"] as? String)
            let info = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            #expect(info?["subseed"] as? Int == 9 && info?["subseed_strength"] as? Double == 0.25)
            for (field, name) in [
                (#""hr_upscaler": "ESRGAN_4x""#, "hr_upscaler"),
                (#""hr_scale": 1000"#, "hr_scale"),
                (#""subseed_strength": 2"#, "subseed_strength"),
            ] {
                let refused = try await client.post(
                    "/sdapi/v1/txt2img", "{\"prompt\": \"p\", \"enable_hr\": true, \(field)}")
                #expect(refused.status == .unprocessableContent)
                #expect(try refused.error()["param"] == name)
            }
            let modes = try await client.get("/sdapi/v1/latent-upscale-modes")
            #expect(modes.text.contains("Latent (bicubic)"))
            #expect(try await client.get("/sdapi/v1/upscalers").text.contains("Lanczos"))
        }
        let request = try #require(generator.requests.first)
        let pass = try #require(request.secondPass)
        #expect(pass.size == PixelSize(width: 64, height: 32) && pass.strength == 0.5)
        #expect(pass.upscaler == .latentBicubic && pass.steps == 3)
        #expect(pass.sampler == .heun && pass.schedule == nil)
        #expect(request.seeds.variation == SeedVariation(seed: 9, strength: 0.25))
        #expect(request.seeds.noiseSize == PixelSize(width: 64, height: 48))
        #expect(request.evaluations == 4 + 5)
    }

    @Test("image-to-image takes hires, and refuses A1111's field of txt2img")
    func imageToImage() async throws {
        let generator = try FakeGenerator()
        let file = Data(
            try ImageEncoder.encode(try RGBImage(width: 16, height: 16, filledWith: (9, 8, 7)))
        ).base64EncodedString()
        try await withGateway(generator) { client in
            func post(_ fields: String) async throws -> TestResponse {
                try await client.post(
                    "/sdapi/v1/img2img",
                    """
                    {"prompt": "a cat", "steps": 4, "width": 32, "height": 16, "init_images": ["\(file)"],
                     "denoising_strength": 0.5, \(fields)}
                    """)
            }
            let made = try await post(#""hires": {"factor": 2, "steps": 3}"#)
            #expect(made.status == .ok, "\(made.text)")
            let refused = try await post(#""enable_hr": true"#)
            #expect(refused.status == .unprocessableContent, "\(refused.text)")
            #expect(try refused.error()["param"] == "enable_hr" && refused.text.contains("hires"))
        }
        let request = try #require(generator.requests.first)
        #expect(request.strength == 0.5 && request.secondPass?.strength == 0.4)
        #expect(request.secondPass?.size == PixelSize(width: 64, height: 32))
        #expect(request.evaluations == request.parameters.evaluations(strength: nil) - 2)
    }

    @Test("a second pass in tiles counts each of them")
    func tiles() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for tiles in ["32", #"{"side": 32, "overlap": 16}"#] {
                let made = try await client.post(
                    "/api/jobs",
                    """
                    {"prompt": "p", "size": "32x16", "steps": 4,
                     "hires": {"factor": 2, "steps": 3, "tiles": \(tiles)}}
                    """)
                // 64x32 in columns 0, 16 and 32.
                #expect(try made.object()["evaluations"] as? Int == 4 + 3 * 3, "\(made.text)")
                let pass = try made.object()["hires"] as? [String: Any]
                #expect((pass?["tiles"] as? [String: Int]) == ["side": 32, "overlap": 16])
            }
        }
    }

    @Test("fields of our own, and their errors")
    func jobs() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let answer = try await client.post(
                "/api/jobs",
                """
                {"prompt": "p", "size": "32x16", "steps": 4, "variation_seed": 3,
                 "variation_strength": 0.5, "seed_variance": {"strength": 0.4, "until": 0.5},
                 "hires": {"width": 64, "strength": 0.3, "steps": 2}}
                """)
            #expect(answer.status == .accepted, "\(answer.text)")
            let job = try answer.object()
            #expect(
                job["variation_seed"] as? Int == 3 && job["variation_strength"] as? Double == 0.5)
            #expect(job["evaluations"] as? Int == 6)
            for hires in ["2", "true", #"{"factor": 2}"#, #"{"height": 32}"#] {
                let made = try await client.post(
                    "/v1/images/generations",
                    "{\"prompt\": \"p\", \"size\": \"32x16\", \"hires\": \(hires)}")
                #expect(made.status == .ok, "\(made.text)")
                #expect(try made.object()["size"] as? String == "64x32")
            }
            for off in ["false", "0", "null", "{}"] {
                let made = try await client.post(
                    "/v1/images/generations",
                    "{\"prompt\": \"p\", \"size\": \"32x16\", \"hires\": \(off)}")
                #expect(try made.object()["size"] as? String == "32x16")
            }
            for (fields, name) in [
                (#""hires": "x""#, "hires"), (#""hires": {"upscaler": "x"}"#, "hires.upscaler"),
                (#""hires": {"sampler": "x"}"#, "hires.sampler"),
                (#""hires": {"strength": 2}"#, "hires.strength"),
                (#""hires": {"tiles": 40}"#, "hires.tiles"),
                (#""hires": {"tiles": {"side": 64, "overlap": 48}}"#, "hires.tiles"),
                (#""hires": {"tiles": {"overlap": 16}}"#, "hires.tiles"),
                (#""hires": {"tiles": {"side": "x"}}"#, "hires.tiles"),
                (#""seed_variance": {"share": 1}"#, "seed_variance"),
                (#""seed_variance": -1"#, "seed_variance"),
                (#""variation_strength": 3"#, "variation_strength"),
            ] {
                let refused = try await client.post("/api/jobs", "{\"prompt\": \"p\", \(fields)}")
                #expect(refused.status == .badRequest, "\(fields)")
                #expect(try refused.error()["param"] == name, "\(refused.text)")
            }
        }
        let seeds = try #require(generator.requests.first { $0.seeds.variance != nil }?.seeds)
        #expect(seeds.variance?.strength == 0.4 && seeds.variance?.until == 0.5)
        #expect(seeds.variance?.share == 0.5)
    }
}
