// Part of Inkstone. Licence: see LICENSE.

import ControlMaps
import Engine
import Foundation
import HTTPTypes
import Imaging
import Parameters
import Testing

/// The description of the interface of jobs against what the interface does.
@Suite("The description of the interface", .timeLimit(.minutes(5)))
struct DescriptionTests {
    private typealias Object = [String: Any]

    private func schema(_ client: TestClient, _ name: String) async throws -> Object {
        let document = try await client.get("/api/openapi.json").object()
        let components = try #require(document["components"] as? Object)
        let schemas = try #require(components["schemas"] as? Object)
        let schema = try #require(schemas[name] as? Object)
        return try #require(schema["properties"] as? Object)
    }

    private func property(_ object: Any?, _ path: String...) throws -> Object {
        var object = try #require(object as? Object)
        for name in path { object = try #require(object[name] as? Object, "\(name)") }
        return object
    }

    @Test("every field of a request is read: a value of another type is an error that names it")
    func fields() async throws {
        let file = Data(
            try ImageEncoder.encode(try RGBImage(width: 16, height: 16, filledWith: (9, 8, 7)))
        ).base64EncodedString()
        try await withGateway(try FakeGenerator()) { client in
            let properties = try await schema(client, "Request")
            #expect(properties.count > 30)
            // Those of a control are read where there is a ControlNet.
            for name in properties.keys.sorted() where !name.hasPrefix("control_") {
                let types = try property(properties[name])["type"]
                let isObject = (types as? [String])?.contains("object") == true
                var body: Object = ["prompt": "x", "image": file]
                body[name] = isObject ? [[true]] : ["a": 1]
                let json = try JSONSerialization.data(withJSONObject: body)
                let answer = try await client.post(
                    "/api/jobs", String(decoding: json, as: UTF8.self))
                #expect(answer.status == .badRequest, "\(name) \(answer.text)")
                let parameter = try answer.error()["param"]
                #expect(parameter?.hasPrefix(name) == true, "\(name) \(answer.text)")
            }
        }
    }

    @Test("what may be chosen is what there is")
    func choices() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let properties = try await schema(client, "Request")
            func choices(_ property: Object) -> [String] {
                (property["enum"] as? [Any])?.compactMap { $0 as? String } ?? []
            }
            #expect(
                choices(try property(properties["strength_rule"]))
                    == SamplingMethod.StrengthRule.allCases.map(\.rawValue))
            #expect(
                choices(try property(properties["hires"], "properties", "upscaler"))
                    == SecondPass.Upscaler.allCases.map(\.rawValue))
            let control = try property(properties["controls"], "items", "properties")
            #expect(
                Set(choices(try property(control["type"])))
                    == Set(Preprocessor.allCases.map(\.rawValue)))
            #expect(choices(try property(control["fit"])) == Fitting.allCases.map(\.rawValue))
        }
    }

    @Test("every field of a job is described")
    func answers() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let properties = try await schema(client, "Job")
            let job = try await client.post(
                "/api/jobs",
                """
                {"prompt": "p", "size": "32x16", "steps": 4, "variation_seed": 3, "deadline": 60,
                 "variation_strength": 0.5, "seed_variance": 0.4, "shift": 2, "sampler": "heun",
                 "hires": {"width": 64, "steps": 2, "sampler": "euler", "scheduler": "beta", "tiles": 32}}
                """
            ).object()
            for (name, value) in job {
                let described = try #require(properties[name] as? Object, "\(name)")
                guard let value = value as? Object, name != "progress" else { continue }
                let parts = try property(described["properties"])
                #expect(Set(value.keys).isSubset(of: parts.keys), "\(name) \(value)")
            }
            #expect(job["hires"] != nil && job["seed_variance"] != nil)
        }
    }
}
