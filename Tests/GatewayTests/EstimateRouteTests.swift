// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import NIOCore
import Parameters
import Testing

extension FakeGenerator: RequestForecasting {
    /// One token per character, one byte per pixel.
    func forecast(of request: ImageRequest, model: String) async throws -> RequestForecast? {
        RequestForecast(
            promptTokens: request.prompt.count, negativeTokens: request.negativePrompt.count,
            tokenLimit: 512, weightBytes: 4000,
            activationBytes: request.size.width * request.size.height * request.count)
    }
}

@Suite("Estimates of a request's cost")
struct EstimateRouteTests {
    private func draw(_ client: TestClient, steps: Int) async throws {
        let response = try await client.post(
            "/v1/images/generations",
            #"{"prompt": "a kite", "size": "32x16", "steps": \#(steps)}"#)
        #expect(response.status == .ok)
    }

    @Test("memory and tokens are known at once, seconds after the first image")
    func estimate() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator, forecaster: generator) { client in
            let body = #"{"prompt": "a kite", "size": "32x16", "steps": 4, "n": 2}"#
            let before = try await client.post("/api/estimate", body).object()
            #expect(before["seconds"] == nil)
            #expect(before["memory_bytes"] as? Int == 32 * 16 * 2)
            #expect(before["model_bytes"] as? Int == 4000)
            #expect(before["prompt_tokens"] as? Int == 6 && before["token_limit"] as? Int == 512)
            #expect(before["ahead"] as? Int == 0 && before["queue_seconds"] as? Double == 0)
            try await draw(client, steps: 4)
            // A picture of 4 steps took 1 second, 0.625 of it beside the steps.
            let after = try await client.post("/api/estimate", body).object()
            #expect(try #require(after["seconds"] as? Double).isClose(to: 2))
            let longer = try await client.post(
                "/api/estimate", #"{"prompt": "", "size": "32x32", "steps": 8}"#
            ).object()
            #expect(try #require(longer["seconds"] as? Double).isClose(to: 2 * (0.75 + 0.625)))
            let guided = try await client.post(
                "/api/estimate",
                #"{"prompt": "", "size": "32x16", "steps": 4, "guidance_scale": 3}"#
            ).object()
            #expect(try #require(guided["seconds"] as? Double).isClose(to: 0.75 + 0.625))
            #expect(guided["evaluations"] as? Int == 4)
            let heun = try await client.post(
                "/api/estimate", #"{"prompt": "", "size": "32x16", "steps": 4, "sampler": "heun"}"#
            ).object()
            #expect(heun["evaluations"] as? Int == 7, "two for each step but the last")
            let redrawn = try await client.post(
                "/api/estimate", #"{"prompt": "", "size": "32x16", "steps": 4, "strength": 0.5}"#
            ).object()
            #expect(try #require(redrawn["seconds"] as? Double).isClose(to: 0.1875 + 0.625))
        }
    }

    @Test("the estimate includes the requests ahead")
    func queue() async throws {
        let generator = try FakeGenerator(.hang)
        try await withGateway(generator) { client in
            let job = try await client.post("/api/jobs", #"{"prompt": "a kite"}"#).object()
            for await _ in generator.beginnings { break }
            let answer = try await client.post("/api/estimate", #"{"prompt": "b"}"#).object()
            #expect(answer["ahead"] as? Int == 1)
            #expect(answer["queue_seconds"] == nil)
            let status = try await client.get("/api/status").object()
            #expect(status["running"] as? Int == 1 && status["waiting"] as? Int == 0)
            let models = try #require(status["models"] as? [[String: Any]])
            #expect(models.compactMap { $0["id"] as? String } == ["tiny", "maker/large"])
            let id = try #require(job["id"] as? String)
            _ = try await client.post("/api/jobs/\(id)/cancel", "")
        }
    }

    @Test(
        "an invalid request has no estimate",
        arguments: [
            (#"{"prompt": "p", "steps": 0}"#, "steps"),
            (#"{"prompt": "p", "strength": 0}"#, "strength"),
            (#"{"prompt": "p", "strength": 1.5}"#, "strength"),
        ])
    func refused(body: String, field: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.post("/api/estimate", body)
            #expect(response.status == .badRequest)
            #expect(try response.error()["param"] == field)
        }
    }
}

extension Double {
    fileprivate func isClose(to other: Double) -> Bool { abs(self - other) < 1e-9 }
}
