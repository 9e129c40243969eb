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
