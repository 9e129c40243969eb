// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Imaging
import NIOCore
import Testing

/// Inkstone's own interface: jobs that run independently of their clients.
@Suite("Jobs over HTTP", .timeLimit(.minutes(5)))
struct JobRouteTests {
    private let request = #"{"prompt": "a red circle", "size": "32x16", "seed": 5, "n": 2}"#

    /// Polls until a job is final.
    private func final(_ id: String, _ client: TestClient) async throws -> [String: Any] {
        while true {
            let job = try await client.get("/api/jobs/\(id)").object()
            if !["queued", "running"].contains(job["state"] as? String) { return job }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    @Test("a job is accepted, runs, and its images can be fetched")
    func roundTrip() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post(
                "/api/jobs", request, headers: [HTTPField.Name("x-request-id") ?? .age: "mine-1"])
            #expect(answer.status == .accepted)
            let accepted = try answer.object()
            let id = try #require(accepted["id"] as? String)
            #expect(answer.headers[.location] == "/api/jobs/\(id)")
            #expect(accepted["request_id"] as? String == "mine-1")
            let job = try await final(id, client)
            #expect(job["state"] as? String == "succeeded")
            #expect(job["seed"] as? Int == 5 && job["n"] as? Int == 2)
            let images = try #require(job["images"] as? [[String: Any]])
            #expect(images.compactMap { $0["seed"] as? Int } == [5, 6])
            for image in images {
                let url = try #require(image["url"] as? String)
                let file = try await client.get(url)
                #expect(file.headers[.contentType] == "image/png")
                let picture = try ImageDecoder.decode([UInt8](file.body.readableBytesView))
                #expect(picture.image.width == 32 && picture.image.height == 16)
                #expect(image["pixel_sha256"] is String)
                let webp = try await client.get(url + "?format=webp")
                #expect(webp.headers[.contentType] == "image/webp")
                #expect(
                    try ImageDecoder.decode([UInt8](webp.body.readableBytesView)).format == .webp)
            }
            // The client's own id finds it, too.
            let again = try await client.get("/api/jobs/mine-1").object()
            #expect(again["id"] as? String == id)
        }
    }

    @Test("events can be followed by any client, also after the end")
    func events() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let id = try #require(
                try await client.post("/api/jobs", request).object()["id"] as? String)
            let first = try await client.get("/api/jobs/\(id)/events").events()
            #expect(first.last?.name == "done")
            #expect(first.filter { $0.name == "image" }.count == 2)
            _ = try await final(id, client)
            let later = try await client.get("/api/jobs/\(id)/events").events()
            #expect(later.map(\.name) == ["image", "image", "done"])
        }
    }

    @Test("jobs, their events and all dialects name device, kernels and precision of an image")
    func origins() async throws {
        let known = ["device": "vulkan:1", "kernels": "vulkan Card", "precision": "int8"]
        let generator = try FakeGenerator(
            origin: ImageOrigin(device: "vulkan:1", kernels: "vulkan Card", precision: "int8"))
        try await withGateway(generator) { client in
            let id = try #require(
                try await client.post("/api/jobs", request).object()["id"] as? String)
            let events = try await client.get("/api/jobs/\(id)/events").events()
            let images = events.filter { $0.name == "image" }.map(\.data)
            let job = try await final(id, client)
            let stored = try #require(job["images"] as? [[String: Any]])
            let answer = try await client.post("/v1/images/generations", request).object()
            let data = try #require(answer["data"] as? [[String: Any]])
            for image in images + stored + data {
                #expect(image["origin"] as? [String: String] == known)
            }
            #expect(images.count == 2 && stored.count == 2 && data.count == 2)
            let streamed = try await client.post(
                "/v1/images/generations",
                #"{"prompt": "a", "size": "32x16", "seed": 5, "stream": true}"#
            ).events()
            let last = try #require(streamed.last)
            #expect(last.data["origin"] as? [String: String] == known)
            let web = try await client.post(
                "/sdapi/v1/txt2img",
                #"{"prompt": "a", "seed": 5, "steps": 3, "width": 32, "height": 32, "batch_size": 2}"#
            ).object()
            let info = try #require(web["info"] as? String)
            let parsed = try JSONSerialization.jsonObject(with: Data(info.utf8)) as? [String: Any]
            #expect(parsed?["all_origins"] as? [[String: String]] == [known, known])
        }
        // Nothing is invented for an image without it.
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post("/v1/images/generations", request).object()
            let data = try #require(answer["data"] as? [[String: Any]])
            #expect(data.allSatisfy { $0["origin"] == nil })
        }
    }

    @Test("the same request with the same key is the same job")
    func idempotency() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let headers: HTTPFields = [HTTPField.Name("idempotency-key") ?? .age: "abc"]
            let ids = try await [0, 1].asyncMap { _ in
                try await client.post("/api/jobs", request, headers: headers).object()["id"]
                    as? String
            }
            #expect(ids[0] == ids[1])
            _ = try await final(try #require(ids[0]), client)
            #expect(generator.requests.count == 1)
            let other = try await client.post("/api/jobs", #"{"prompt": "b"}"#, headers: headers)
            #expect(other.status == .unprocessableContent)
            #expect(try other.error()["code"] == "idempotency_key_reused")
        }
    }

    @Test("cancel, then remove")
    func cancel() async throws {
        let generator = try FakeGenerator(.hang)
        try await withGateway(generator) { client in
            let id = try #require(
                try await client.post("/api/jobs", request).object()["id"] as? String)
            for await _ in generator.beginnings { break }
            let early = try await client.execute(uri: "/api/jobs/\(id)", method: .delete)
            #expect(early.status == .conflict)
            #expect(early.headers[HTTPField.Name("x-should-retry") ?? .age] == "false")
            let answer = try await client.post("/api/jobs/\(id)/cancel", "")
            #expect(answer.status == .accepted)
            for await _ in generator.cancellations { break }
            let job = try await final(id, client)
            #expect(job["state"] as? String == "cancelled")
            let removed = try await client.execute(uri: "/api/jobs/\(id)", method: .delete)
            #expect(removed.status == .noContent)
            #expect(try await client.get("/api/jobs/\(id)").status == .notFound)
        }
    }

    @Test("a synchronous call is a job, too, and lists page through all of them")
    func lists() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for seed in 0..<3 {
                let answer = try await client.post(
                    "/v1/images/generations",
                    #"{"prompt": "p\#(seed)", "size": "32x16", "seed": \#(seed)}"#)
                #expect(answer.status == .ok)
            }
            let all = try await client.get("/api/jobs?state=succeeded&limit=2").object()
            let rows = try #require(all["data"] as? [[String: Any]])
            #expect(rows.compactMap { $0["prompt"] as? String } == ["p2", "p1"])
            #expect(all["has_more"] as? Bool == true)
            let last = try #require(rows.last?["id"] as? String)
            let rest = try await client.get("/api/jobs?before=\(last)").object()
            #expect((rest["data"] as? [[String: Any]])?.count == 1)
            let found = try await client.get("/api/jobs?q=P1").object()
            #expect((found["data"] as? [[String: Any]])?.count == 1)
        }
    }

    @Test("a URL of the OpenAI dialect opens from the store, too")
    func storedURL() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let body = try await client.post("/v1/images/generations", request).object()
            let data = try #require(body["data"] as? [[String: Any]])
            let url = try #require(data.first?["url"] as? String)
            let path = try #require(url.firstRange(of: "/v1/")).lowerBound
            #expect(try await client.get(String(url[path...])).status == .ok)
        }
    }

    @Test(
        "errors have a status and a code",
        arguments: [
            ("/api/jobs/none", 404, "job_not_found"),
            ("/api/jobs/none/events", 404, "job_not_found"),
            ("/api/jobs/none/images/0", 404, "image_not_found"),
            ("/api/jobs/none/images/x", 404, "image_not_found"),
            ("/api/jobs?state=lost", 400, "invalid_value"),
            ("/api/jobs?limit=0", 400, "invalid_value"),
            ("/api/jobs?given_up=maybe", 400, "invalid_value"),
        ])
    func errors(path: String, status: Int, code: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.get(path)
            #expect(answer.status.code == status)
            #expect(try answer.error()["code"] == code)
        }
    }

    @Test("jobs that ended their workers are distinguished from other failures")
    func givenUp() async throws {
        for (code, isGivenUp) in [
            (GenerationError.Code.workerLost, true), (.internalFailure, false),
        ] {
            let error = GenerationError(code, "It ended.")
            try await withGateway(try FakeGenerator(.fail(error))) { client in
                let accepted = try await client.post("/api/jobs", request).object()
                let id = try #require(accepted["id"] as? String)
                let job = try await final(id, client)
                #expect(job["state"] as? String == "failed")
                #expect(job["given_up"] as? Bool == isGivenUp)
                for wanted in [true, false] {
                    let list = try await client.get("/api/jobs?given_up=\(wanted)").object()
                    let count = (list["data"] as? [Any])?.count
                    #expect(count == (wanted == isGivenUp ? 1 : 0))
                }
            }
        }
    }

    @Test("a priority is reported, and an unknown one is refused")
    func priority() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let job = try await client.post("/api/jobs", #"{"prompt": "x", "priority": "high"}"#)
            #expect(try job.object()["priority"] as? String == "high")
            let plain = try await client.post("/api/jobs", #"{"prompt": "x", "priority": null}"#)
            #expect(try plain.object()["priority"] as? String == "normal")
            let wrong = try await client.post("/api/jobs", #"{"prompt": "x", "priority": "now"}"#)
            #expect(wrong.status == .badRequest)
            #expect(try wrong.error()["param"] == "priority")
        }
    }

    @Test("the description names every route of jobs")
    func openAPI() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let document = try await client.get("/api/openapi.json").object()
            let paths = try #require(document["paths"] as? [String: [String: Any]])
            for (path, operations) in paths {
                let uri = path.replacing("{id}", with: "none").replacing("{index}", with: "0")
                    .replacing("{name}", with: "none")
                for name in operations.keys where name != "parameters" {
                    let method = try #require(HTTPRequest.Method(name.uppercased()))
                    let answer = try await client.execute(uri: uri, method: method)
                    #expect(answer.status != .methodNotAllowed, "\(name) \(path)")
                    #expect(try answer.status == .ok || answer.error()["code"] != "not_found")
                }
            }
        }
    }
}

extension Array {
    /// Transforms the elements one after the other.
    fileprivate func asyncMap<Result>(
        _ transform: (Element) async throws -> Result
    ) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
