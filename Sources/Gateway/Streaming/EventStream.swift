// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Hummingbird
import NIOCore

/// Server-sent events: `event:` and `data:` fields and comments, never `id:` or `retry:`, which
/// the OpenAI libraries take for an event without data.
enum EventStream {
    /// One event whose data is one line of JSON.
    static func frame(_ name: String, _ value: some Encodable) -> ByteBuffer {
        var buffer = ByteBuffer(string: "event: \(name)\ndata: ")
        buffer.writeBytes(jsonBytes(value))
        buffer.writeString("\n\n")
        return buffer
    }

    /// A comment that every client skips.
    static var keepAlive: ByteBuffer { ByteBuffer(string: ": keep-alive\n\n") }

    /// Headers of a stream that no cache or proxy may hold back.
    ///
    /// The connection is not used again: noticing that the client went away takes its inbound
    /// side, on which the next request would have come.
    static var headers: HTTPFields {
        [
            .contentType: "text/event-stream; charset=utf-8",
            .cacheControl: "no-store",
            .xAccelBuffering: "no",
            .connection: "close",
        ]
    }

    /// Answers with a stream of what happens to a request.
    ///
    /// A refusal before the first event becomes an ordinary error answer, which clients know how
    /// to wait for; a later failure becomes an event.
    ///
    /// - Parameters:
    ///   - translate: the frames that say an event in the dialect, none to leave it out.
    ///   - fail: the frame that ends the stream after a failure.
    static func response(
        to request: Request,
        events: AsyncThrowingStream<JobEvent, any Error>,
        keepAlive interval: Duration,
        translate: @escaping @Sendable (JobEvent) async throws -> [ByteBuffer],
        fail: @escaping @Sendable (any Error) -> ByteBuffer,
        end: ByteBuffer? = nil
    ) async throws -> Response {
        var iterator = events.makeAsyncIterator()
        let first = try await iterator.next()
        let body = ResponseBody { writer in
            try await request.body.consumeWithCancellationOnInboundClose { _ in
                do {
                    if let first {
                        for frame in try await translate(first) { try await writer.write(frame) }
                    }
                    try await EventRelay.run(events, keepAlive: interval) { item in
                        switch item {
                        case .keepAlive: try await writer.write(keepAlive)
                        case .event(let event):
                            for frame in try await translate(event) {
                                try await writer.write(frame)
                            }
                        }
                    }
                    if let end { try await writer.write(end) }
                } catch {
                    try Task.checkCancellation()
                    try await writer.write(fail(error))
                }
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}
