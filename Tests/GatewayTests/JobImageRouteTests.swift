// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Imaging
import NIOCore
import Parameters
import Testing

@Suite("Images of jobs", .timeLimit(.minutes(5)))
struct JobImageRouteTests {
    private func finish(
        _ body: String, _ client: TestClient
    ) async throws -> [String: Any] {
        let answer = try await client.post("/api/jobs", body)
        try #require(answer.status == .accepted, "\(answer.text)")
        let id = try #require(try answer.object()["id"] as? String)
        while true {
            let job = try await client.get("/api/jobs/\(id)").object()
            if job["state"] as? String == "succeeded" { return job }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func picture(_ response: TestResponse) throws -> DecodedImage {
        try ImageDecoder.decode([UInt8](response.body.readableBytesView))
    }

    @Test("a job has a source image, which its answer and its route show")
    func source() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let start = try RGBImage(width: 32, height: 16, filledWith: (9, 80, 200))
            let file = Data(try ImageEncoder.encode(start)).base64EncodedString()
            let job = try await finish(
                #"{"prompt": "p", "size": "32x16", "strength": 0.5,"#
                    + #" "image": "data:image/png;base64,\#(file)"}"#, client)
            #expect(job["strength"] as? Double == 0.5)
            #expect(generator.requests.map(\.source) == [.init(image: start)])
            #expect(generator.requests.map(\.strength) == [0.5])
            let id = try #require(job["id"] as? String)
            let back = try await client.get("/api/jobs/\(id)/source")
            #expect(back.headers[.contentType] == "image/png")
            #expect(try picture(back).image == start)
            let plain = try await finish(#"{"prompt": "p"}"#, client)
            #expect(plain["strength"] == nil)
            let none = try await client.get("/api/jobs/\(plain["id"] as? String ?? "")/source")
            #expect(none.status == .notFound)
        }
    }

    @Test("a job says whether it has a mask")
    func masked() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let start = try RGBImage(width: 32, height: 16, filledWith: (9, 80, 200))
            let file = Data(try ImageEncoder.encode(start)).base64EncodedString()
            let body = #"{"prompt": "p", "size": "32x16", "strength": 1, "image": "\#(file)""#
            let mask = try RGBImage(width: 32, height: 16, filledWith: (255, 255, 255))
            let paint = Data(try ImageEncoder.encode(mask)).base64EncodedString()
            let whole = try await finish(body + "}", client)
            #expect(whole["masked"] == nil)
            let part = try await finish(body + #", "mask": "\#(paint)"}"#, client)
            #expect(part["masked"] as? Bool == true)
        }
    }

    @Test("a file that is not an image is refused")
    func badSource() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for (image, code) in [("no picture", "invalid_value"), ("AAAA", "invalid_image")] {
                let answer = try await client.post(
                    "/api/jobs", #"{"prompt": "p", "image": "\#(image)"}"#)
                #expect(answer.status == .badRequest)
                #expect(try answer.error()["param"] == "image")
                #expect(try answer.error()["code"] == code)
            }
        }
    }

    @Test("a star is put on an image, is in the job and in lists, and is taken")
    func stars() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let job = try await finish(#"{"prompt": "p", "size": "64x32"}"#, client)
            let other = try await finish(#"{"prompt": "q", "size": "64x32"}"#, client)
            let id = try #require(job["id"] as? String)
            let path = "/api/jobs/\(id)/images/0/star"
            func isStarred() async throws -> Bool? {
                let job = try await client.get("/api/jobs/\(id)").object()
                return (job["images"] as? [[String: Any]])?.first?["starred"] as? Bool
            }
            func ids(_ query: String) async throws -> [String] {
                let list = try await client.get("/api/jobs?\(query)").object()
                return (list["data"] as? [[String: Any]])?.compactMap { $0["id"] as? String } ?? []
            }
            #expect(try await isStarred() == false)
            for _ in 0..<2 {
                #expect(try await client.execute(uri: path, method: .put).status == .noContent)
                #expect(try await isStarred() == true)
            }
            let otherID = try #require(other["id"] as? String)
            #expect(try await ids("starred=true") == [id])
            #expect(try await ids("starred=false") == [otherID])
            #expect(try await client.execute(uri: path, method: .delete).status == .noContent)
            #expect(try await isStarred() == false)
            for missing in ["\(id)/images/1", "\(id)/images/x", "job-none/images/0"] {
                let answer = try await client.execute(
                    uri: "/api/jobs/\(missing)/star", method: .put)
                #expect(answer.status == .notFound)
                #expect(try answer.error()["code"] == "image_not_found")
            }
        }
    }

    @Test("lists hold the jobs of a model, of a LoRA file, and of a time")
    func filters() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let job = try await finish(#"{"prompt": "p", "size": "64x32"}"#, client)
            let created = try #require(job["created"] as? Double)
            let model = try #require(job["model"] as? String)
            for (query, count) in [
                ("model=\(model)", 1), ("model=no", 0), ("lora=no", 0),
                ("since=\(created)", 1), ("since=\(created + 1)", 0),
                ("until=\(created + 1)", 1), ("until=\(created)", 0),
            ] {
                let list = try await client.get("/api/jobs?\(query)").object()
                #expect((list["data"] as? [Any])?.count == count, "\(query)")
            }
            for query in ["starred=perhaps", "since=yesterday", "until=nan"] {
                let answer = try await client.get("/api/jobs?\(query)")
                #expect(answer.status == .badRequest)
                #expect(try answer.error()["param"] == String(query.prefix { $0 != "=" }))
            }
        }
    }

    @Test("thumbnails are small and have the image's aspect ratio")
    func thumbnails() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let job = try await finish(#"{"prompt": "p", "size": "64x32"}"#, client)
            let id = try #require(job["id"] as? String)
            let small = try await client.get("/api/jobs/\(id)/images/0/thumbnail")
            // Small pictures are their own thumbnails.
            #expect(small.headers[.contentType] == "image/png")
            #expect(small.headers[.cacheControl]?.contains("immutable") == true)
            let image = try picture(small).image
            #expect(image.width == 64 && image.height == 32)
            for path in ["\(id)/images/1", "\(id)/images/x", "job-none/images/0"] {
                let missing = try await client.get("/api/jobs/\(path)/thumbnail")
                #expect(missing.status == .notFound)
            }
        }
        let large = try FakeGenerator(scale: 16)
        try await withGateway(large) { client in
            let job = try await finish(#"{"prompt": "p", "size": "64x32"}"#, client)
            let id = try #require(job["id"] as? String)
            let thumbnail = try await client.get("/api/jobs/\(id)/images/0/thumbnail")
            #expect(thumbnail.headers[.contentType] == "image/webp")
            let image = try picture(thumbnail).image
            #expect(image.width == 320 && image.height == 160)
        }
    }
}
