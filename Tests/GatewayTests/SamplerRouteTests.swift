// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Imaging
import Parameters
import Testing

/// Samplers and schedules under the names of every dialect.
@Suite("Samplers over HTTP", .timeLimit(.minutes(5)))
struct SamplerRouteTests {
    @Test("A1111's names choose, and are in the answer and in the file")
    func a1111() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let answer = try await client.post(
                "/sdapi/v1/txt2img",
                """
                {"prompt": "a cat", "steps": 3, "width": 32, "height": 32, "seed": 1, "eta": 0.5,
                 "sampler_name": "DPM++ 2M SDE Karras", "scheduler": "Automatic", "shift": 2.5}
                """)
            let body = try answer.object()
            let parameters = try #require(body["parameters"] as? [String: Any])
            #expect(parameters["sampler_name"] as? String == "DPM++ 2M SDE")
            #expect(parameters["scheduler"] as? String == "Karras")
            let images = try #require(body["images"] as? [String])
            let file = try #require(Data(base64Encoded: images[0]))
            let text = try #require(try ImageDecoder.decode([UInt8](file)).metadata.parameters)
            let read = try #require(GenerationParameters(parsing: text))
            #expect(read.sampler == "DPM++ 2M SDE" && read.scheduleType == "Karras")
            #expect(read.extras == [.init("Shift", "2.5"), .init("Eta", "0.5")])
            let info = try await client.post("/sdapi/v1/png-info", #"{"image": "\#(images[0])"}"#)
            let items = try info.object()["parameters"] as? [String: String]
            #expect(items?["Schedule type"] == "Karras")
            let series = #"{model="tiny",sampler="dpmpp_2m_sde",scheduler="karras"} 1"#
            let metrics = try await client.get("/metrics").text
            #expect(metrics.contains("inkstone_sampled_images_total\(series)"))
        }
        let method = try #require(generator.requests.first).sampling
        #expect(method.sampler == .dpmpp2MSDE && method.schedule == .karras)
        #expect(method.shift == 2.5 && method.eta == 0.5)
    }

    @Test(
        "an unknown name has A1111's words, its status, and the list",
        arguments: [
            (#""sampler_name": "LMS""#, "Sampler not found", "sampler_name", "dpmpp_2m"),
            (#""sampler_index": "Euler b""#, "Sampler not found", "sampler_index", "uni_pc"),
            (#""scheduler": "Turbo""#, "Scheduler not found", "scheduler", "sgm_uniform"),
        ])
    func unknown(field: String, words: String, name: String, other: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post(
                "/sdapi/v1/txt2img", "{\"prompt\": \"p\", \(field)}")
            #expect(answer.status == .badRequest)
            let detail = try #require(try answer.object()["detail"] as? String)
            #expect(detail.hasPrefix(words) && detail.contains(other), "\(detail)")
            let error = try answer.error()
            #expect(error["code"] == "sampler_not_found" && error["param"] == name)
        }
    }

    @Test("every sampler and schedule that the lists name can be chosen by its names")
    func lists() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            for (path, field) in [("samplers", "sampler_name"), ("schedulers", "scheduler")] {
                let answer = try await client.get("/sdapi/v1/\(path)")
                let rows = try #require(
                    try JSONSerialization.jsonObject(with: Data(answer.text.utf8))
                        as? [[String: Any]])
                #expect(rows.count == 13)
                for row in rows {
                    let first = (row["aliases"] as? [String])?.first
                    let names = [row["name"] as? String, first].compactMap(\.self)
                    for name in names {
                        let made = try await client.post(
                            "/sdapi/v1/txt2img",
                            #"{"prompt": "p", "steps": 4, "\#(field)": "\#(name)"}"#)
                        #expect(made.status == .ok, "\(field) \(name): \(made.text)")
                    }
                }
            }
        }
        #expect(Set(generator.requests.map(\.sampling.sampler)).count == 13)
        #expect(Set(generator.requests.map(\.sampling.schedule)).count == 13)
    }

    @Test("jobs and the OpenAI dialect take names, levels and a shift; jobs tell them")
    func jobs() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let answer = try await client.post(
                "/api/jobs",
                #"{"prompt": "p", "sampler": "heun", "steps": 4, "scheduler": "beta", "shift": 0}"#)
            #expect(answer.status == .accepted, "\(answer.text)")
            let job = try answer.object()
            #expect(job["sampler"] as? String == "heun" && job["scheduler"] as? String == "beta")
            #expect(job["evaluations"] as? Int == 7 && job["shift"] == nil)
            let levels = try await client.post(
                "/v1/images/generations",
                #"{"prompt": "p", "scheduler": "UniPCMultistepScheduler", "sigmas": [1, 0.5]}"#)
            #expect(levels.status == .ok, "\(levels.text)")
            for (fields, name) in [
                (#""sampler": "x""#, "sampler"), (#""scheduler": "x""#, "scheduler"),
                (#""sigmas": "x""#, "sigmas"), (#""sigmas": [1, "x"]"#, "sigmas"),
                (#""shift": -1"#, "shift"), (#""eta": 2"#, "eta"),
                (#""strength_rule": "x""#, "strength_rule"),
            ] {
                let refused = try await client.post("/api/jobs", "{\"prompt\": \"p\", \(fields)}")
                #expect(refused.status == .badRequest)
                #expect(try refused.error()["param"]?.contains(name) == true, "\(refused.text)")
            }
        }
        let method = try #require(
            generator.requests.first { $0.sampling.sampler == .uniPC }?.sampling)
        #expect(method.sigmas == [1, 0.5, 0])
        #expect(generator.requests.contains { $0.sampling.sampler == .heun && $0.steps == 4 })
    }

    @Test("an estimate counts the evaluations of a sampler")
    func estimate() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator, forecaster: generator) { client in
            let made = try await client.post(
                "/v1/images/generations", #"{"prompt": "a kite", "size": "32x16", "steps": 4}"#)
            #expect(made.status == .ok)
            func seconds(_ fields: String) async throws -> Double {
                let answer = try await client.post(
                    "/api/estimate",
                    "{\"prompt\": \"\", \"size\": \"32x16\", \"steps\": 4\(fields)}")
                return try #require(try answer.object()["seconds"] as? Double)
            }
            // 0.625 of a second beside the evaluations, 0.375 for 4 of them.
            #expect(abs(try await seconds("") - 1) < 1e-9)
            let twice = try await seconds(#", "sampler": "heun""#)
            #expect(abs(twice - (0.625 + 0.375 * 7 / 4)) < 1e-9)
        }
    }
}
