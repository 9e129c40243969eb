// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization

/// Names every request, writes one log line for it and sets the headers that every answer has.
///
/// The line is written when the last byte has been handed to the connection, so its bytes and
/// seconds are those of the whole answer. It never has the query or the prompt: they are the
/// user's.
struct RequestLogMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let logger: Logger

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.requestID =
            request.headers[.xRequestID].flatMap(Self.accepted) ?? Self.makeRequestID()
        context.logger[metadataKey: "request.id"] = .string(context.requestID)
        let record = AccessRecord(
            logger: logger, method: request.method.rawValue, path: request.uri.path,
            requestID: context.requestID)
        var response = try await next(request, context)
        response.headers[.xRequestID] = context.requestID
        response.headers[.xContentTypeOptions] = "nosniff"
        if response.headers[.cacheControl] == nil {
            response.headers[.cacheControl] = "no-store"
        }
        record.setStatus(response.status.code)
        let body = response.body
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            // The record is kept alive by this closure: should the body never be written because
            // the client is gone, letting go of it writes the line.
            defer { record.finish() }
            try await body.write(CountingWriter(inner: writer, record: record))
        }
        return response
    }

    /// A client's own name for the request, when it is short and harmless in a log.
    static func accepted(_ id: String) -> String? {
        let harmless = id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_.:/+=".utf8.contains(byte)
            }
        }
        return harmless && (1...128).contains(id.utf8.count) ? id : nil
    }

    private static func makeRequestID() -> String {
        "req-" + String(UInt64.random(in: 1 << 60...UInt64.max), radix: 16)
    }
}

/// One line of the access log in the making.
final class AccessRecord: Sendable {
    private struct State {
        var status = 0
        var bytes = 0
        var isFinished = false
    }

    private let logger: Logger
    private let method: String
    private let path: String
    private let requestID: String
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    init(logger: Logger, method: String, path: String, requestID: String) {
        self.logger = logger
        self.method = method
        self.path = path
        self.requestID = requestID
    }

    deinit { finish() }

    /// Notes the answer's status.
    func setStatus(_ status: Int) {
        state.withLock { $0.status = status }
    }

    /// Notes bytes of the body.
    func add(bytes: Int) {
        state.withLock { $0.bytes += bytes }
    }

    /// Writes the line, once.
    func finish() {
        let line = state.withLock { state -> State? in
            defer { state.isFinished = true }
            return state.isFinished ? nil : state
        }
        guard let line else { return }
        let elapsed = (ContinuousClock.now - start) / .milliseconds(1)
        logger.info(
            "request",
            metadata: [
                "request.id": .string(requestID),
                "http.method": .string(method),
                "http.path": .string(path),
                "http.status": .stringConvertible(line.status),
                "http.bytes": .stringConvertible(line.bytes),
                "request.seconds": .stringConvertible(elapsed.rounded() / 1000),
            ])
    }
}

/// Passes a body on and counts it.
struct CountingWriter: ResponseBodyWriter {
    var inner: any ResponseBodyWriter
    let record: AccessRecord

    mutating func write(_ buffer: ByteBuffer) async throws {
        record.add(bytes: buffer.readableBytes)
        try await inner.write(buffer)
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
        try await inner.finish(trailingHeaders)
    }
}
