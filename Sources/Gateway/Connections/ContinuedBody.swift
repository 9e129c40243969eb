// Part of Inkstone. Licence: see LICENSE.

import Hummingbird
import NIOCore

/// A body that the client sends when it is asked to.
///
/// The question, `100 Continue`, is sent when a route begins to read. One that refuses the request before
/// answers at once.
struct ContinuedBody: AsyncSequence, Sendable {
    let body: RequestBody
    let connection: Connection

    struct AsyncIterator: AsyncIteratorProtocol {
        var body: RequestBody.AsyncIterator
        var connection: Connection?

        mutating func next() async throws -> ByteBuffer? {
            connection?.sendContinue()
            connection = nil
            return try await body.next()
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(body: body.makeAsyncIterator(), connection: connection)
    }
}
