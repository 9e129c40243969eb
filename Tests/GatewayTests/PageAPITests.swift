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
            #expect(models == [try .tiny(), try .slashed()])
        }
    }
}
