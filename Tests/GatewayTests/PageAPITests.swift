// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import NIOCore
import Testing

@Suite struct PageAPITests {
    @Test("the page reads the descriptions of all models")
    func models() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let body = try await client.get("/api/models").body
            let models = try JSONDecoder().decode(
                [ModelDescription].self, from: Data(body.readableBytesView))
            #expect(models == [try .tiny().withoutWords, try .slashed()])
            #expect(!String(buffer: body).contains("words"))
        }
    }

    @Test("the words of a model are an answer of their own, with an entity tag")
    func words() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.get("/api/models/tiny/words")
            #expect(answer.status == .ok)
            #expect(answer.headers[.cacheControl] == "private, no-cache")
            let words = try JSONDecoder().decode(
                [String: [String]].self, from: Data(answer.body.readableBytesView))
            #expect(words == ["en": ["red circle", "circle"], "zh": ["圆形"]])
            let tag = try #require(answer.headers[.eTag])
            let again = try await client.get(
                "/api/models/tiny/words", headers: [.ifNoneMatch: tag])
            #expect(again.status == .notModified && again.body.readableBytes == 0)
            // A name with a slash, as it is and as the page writes it; it has no list.
            for path in ["/api/models/maker/large/words", "/api/models/maker%2Flarge/words"] {
                let none = try await client.get(path)
                #expect(none.status == .ok && none.text == "{}")
            }
            let unknown = try await client.get("/api/models/none/words")
            #expect(unknown.status == .notFound)
            #expect(try unknown.error()["code"] == "model_not_found")
        }
    }
}
