// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import NIOCore
import NIOHTTP1
import NIOPosix

/// The worker ended, or closed the connection, before it had answered.
struct WorkerLost: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A gateway's side of the protocol: HTTP over a Unix socket, a connection for each call.
///
/// Connecting to a Unix socket takes microseconds, so none is kept; and a call that is cancelled
/// closes its connection, which cancels the request in the worker.
struct WorkerClient: Sendable {
    /// Path of the worker's socket.
    let socket: String

    /// The worker's status.
    func status(within limit: Duration) async throws -> WorkerStatus {
        try await ask(.GET, "/status", within: limit)
    }

    /// The passes after the first `count`.
    func passes(after count: Int, within limit: Duration) async throws -> [PassReport] {
        try await ask(.POST, "/passes", ByteBuffer(string: String(count)), within: limit)
    }

    private func ask<Answer: Decodable & Sendable>(
        _ method: HTTPMethod, _ path: String, _ question: ByteBuffer = ByteBuffer(),
        within limit: Duration
    ) async throws -> Answer {
        try await within(limit) {
            var body = ByteBuffer()
            try await exchange(method, path, body: question) { part in
                body.writeImmutableBuffer(part)
            }
            return try JSONDecoder().decode(Answer.self, from: Data(body.readableBytesView))
        }
    }

    /// Requests that the worker end after its last request.
    func drain(within limit: Duration) async throws {
        try await within(limit) {
            try await exchange(.POST, "/drain") { _ in }
        }
    }

    /// Decodes an image file in the worker.
    ///
    /// - Throws: `UnreadableImage`; `WorkerLost` and errors of the connection when there is no answer.
    func decode(_ file: [UInt8], within limit: Duration) async throws -> DecodedImage {
        let frame = try await within(limit) {
            var body = ByteBuffer()
            do {
                try await exchange(.POST, "/decode", body: ByteBuffer(bytes: file)) { part in
                    body.writeImmutableBuffer(part)
                }
            } catch let refusal as WorkerRefusal where refusal.status == .badRequest {
                throw UnreadableImage(description: refusal.sentence)
            }
            guard let frame = try WorkerFrame.take(from: &body) else {
                throw WorkerLost("its answer has no end")
            }
            return frame
        }
        return try DecodedImageHeader.image(of: frame)
    }

    /// Runs a request.
    ///
    /// - Parameters:
    ///   - request: a frame with a `WorkerCall`.
    ///   - onMessage: Receives every message but the last, with its bytes.
    /// - Throws: `GenerationError` or `CancellationError` as the worker says, `WorkerLost` and errors
    ///   of the connection when the answer is incomplete.
    func run(
        _ request: ByteBuffer, onMessage: (WorkerMessage, [UInt8]) throws -> Void
    ) async throws {
        var rest = ByteBuffer()
        var isDone = false
        do {
            try await exchange(.POST, "/run", body: request) { part in
                rest.writeImmutableBuffer(part)
                while let frame = try WorkerFrame.take(from: &rest) {
                    switch try frame.decode(WorkerMessage.self) {
                    case .done: isDone = true
                    case .cancelled: throw CancellationError()
                    case .failed(let code, let message): throw GenerationError(code, message)
                    case let message: try onMessage(message, frame.payload)
                    }
                }
                rest.discardReadBytes()
            }
        } catch let refusal as WorkerRefusal {
            throw GenerationError(.internalFailure, refusal.description)
        }
        guard isDone else { throw WorkerLost("its answer has no end") }
    }

    /// Sends a request and reads the answer to its end.
    private func exchange(
        _ method: HTTPMethod, _ path: String, body: ByteBuffer = ByteBuffer(),
        onBody: (ByteBuffer) throws -> Void
    ) async throws {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(unixDomainSocketPath: socket) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel)
                }
            }
        try await channel.executeThenClose { inbound, outbound in
            let headers: HTTPHeaders = [
                "host": "worker", "connection": "close", "content-length": "\(body.readableBytes)",
            ]
            var parts: [HTTPClientRequestPart] = [
                .head(
                    HTTPRequestHead(
                        version: .http1_1, method: method, uri: path, headers: headers))
            ]
            if body.readableBytes > 0 { parts.append(.body(.byteBuffer(body))) }
            parts.append(.end(nil))
            // At once: to a request without a body the worker answers, and closes, at its head, and what
            // is written afterwards would fail.
            try await outbound.write(contentsOf: parts)
            var refusal: (status: HTTPResponseStatus, text: String)?
            for try await part in inbound {
                switch part {
                case .head(let head):
                    if head.status.code >= 300 { refusal = (head.status, "") }
                case .body(let bytes):
                    if refusal == nil { try onBody(bytes) }
                    refusal?.text += String(buffer: bytes)
                case .end:
                    guard let refusal else { return }
                    // Draining: another worker, or the next one, takes the request.
                    if refusal.status == .serviceUnavailable {
                        throw WorkerLost("it takes no requests")
                    }
                    throw WorkerRefusal(status: refusal.status, text: refusal.text)
                }
            }
            try Task.checkCancellation()
            throw WorkerLost("the connection closed")
        }
    }
}

/// The worker refused a request.
private struct WorkerRefusal: Error, CustomStringConvertible {
    let status: HTTPResponseStatus
    let text: String

    var description: String {
        "the worker refused the request with \(status.code): \(sentence)"
    }

    /// The sentence in the server's error body.
    var sentence: String {
        struct Body: Decodable {
            struct Details: Decodable { var message: String }
            var error: Details
        }
        return (try? JSONDecoder().decode(Body.self, from: Data(text.utf8)))?.error.message ?? text
    }
}

/// Runs something for a limited time.
///
/// - Throws: `WorkerLost` when the time is over.
func within<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw WorkerLost("no answer within \(limit)")
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw CancellationError() }
        return value
    }
}
