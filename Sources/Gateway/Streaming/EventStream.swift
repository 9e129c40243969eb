// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Hummingbird
import NIOCore

/// Server-sent events: `event:` and `data:` fields and comments, never `id:` or `retry:`, which
/// the OpenAI libraries treat as an event without data.
enum EventStream {
    /// One event whose data is one line of JSON.
    static func frame(_ name: String, _ value: some Encodable) -> ByteBuffer {
        var buffer = ByteBuffer(string: "event: \(name)\ndata: ")
        buffer.writeBytes(jsonBytes(value))
        buffer.writeString("\n\n")
        return buffer
    }

    /// A comment, which every client ignores.
    static var keepAlive: ByteBuffer { ByteBuffer(string: ": keep-alive\n\n") }

    /// Headers of a stream, which caches and proxies must not buffer.
    static var headers: HTTPFields {
        [
            .contentType: "text/event-stream; charset=utf-8",
            .cacheControl: "no-store",
            .xAccelBuffering: "no",
        ]
    }

    /// Answers with the events of a request.
    ///
    /// An error before the first event becomes an ordinary error answer, after which clients can retry; a later
    /// error becomes an event.
    ///
    /// - Parameters:
    ///   - context: the request's; when its connection closes, the work is cancelled.
    ///   - events: the events.
    ///   - isAccepted: whether the answer is a stream even if an error is its only event.
    ///   - previews: the previews that the client gets.
    ///   - interval: silence after which a comment is sent.
    ///   - translate: the frame of an event in the dialect, `nil` to omit it.
    ///   - fail: the frame that ends the stream after an error.
    ///   - end: the frame after the last event, if the dialect has one.
    /// - Returns: the answer; its body runs the request.
    /// - Throws: the error of the events before the first one.
    static func response(
        to context: GatewayContext,
        events: JobEventStream,
        isAccepted: Bool = false,
        previews: EventRelay.Previews = .newest,
        keepAlive interval: Duration,
        translate: @escaping @Sendable (JobEvent) throws -> ByteBuffer?,
        fail: @escaping @Sendable (any Error) -> ByteBuffer,
        end: ByteBuffer? = nil
    ) async throws -> Response {
        var iterator = events.makeAsyncIterator()
        let first = isAccepted ? nil : try await iterator.next()
        let body = ResponseBody { writer in
            try await context.cancellingOnDisconnect {
                do {
                    if let frame = try first.flatMap(translate) {
                        try await writer.write(frame)
                    }
                    try await EventRelay.run(events, previews: previews, keepAlive: interval) {
                        switch $0 {
                        case .keepAlive:
                            try await writer.write(keepAlive)
                        case .event(let event):
                            if let frame = try translate(event) { try await writer.write(frame) }
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
