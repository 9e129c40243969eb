// Part of Inkstone. Licence: see LICENSE.

import NIOCore
import NIOPosix

/// A connection whose bytes a test writes and reads one after the other.
struct RawConnection {
    private var iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    /// What was read and not yet returned.
    private var text = ""

    fileprivate init(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>,
        _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        iterator = inbound.makeAsyncIterator()
        self.outbound = outbound
    }

    /// Writes text.
    func send(_ text: String) async throws {
        try await outbound.write(ByteBuffer(string: text))
    }

    /// Reads up to the end of a mark and returns what precedes it; everything if the connection is closed
    /// before.
    mutating func read(until mark: String) async throws -> String {
        while true {
            if let range = text.firstRange(of: mark) {
                defer { text = String(text[range.upperBound...]) }
                return String(text[..<range.lowerBound])
            }
            guard let bytes = try await iterator.next() else {
                defer { text = "" }
                return text
            }
            text += String(buffer: bytes)
        }
    }

    /// Reads one answer with a `Content-Length`: its head and its body.
    mutating func readAnswer() async throws -> (head: String, body: String) {
        let head = try await read(until: "\r\n\r\n")
        let length =
            head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
            .flatMap { Int($0.dropFirst("content-length:".count).drop { $0 == " " }) } ?? 0
        while text.utf8.count < length, let bytes = try await iterator.next() {
            text += String(buffer: bytes)
        }
        let body = String(decoding: text.utf8.prefix(length), as: UTF8.self)
        text = String(decoding: text.utf8.dropFirst(length), as: UTF8.self)
        return (head, body)
    }

    /// Reads until the other side closes.
    mutating func readToEnd() async throws -> String {
        while let bytes = try await iterator.next() { text += String(buffer: bytes) }
        defer { text = "" }
        return text
    }
}

/// Opens a connection to a port of this machine while a test runs.
func withConnection<Value: Sendable>(
    port: Int, _ body: (inout RawConnection) async throws -> Value
) async throws -> Value {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                    wrappingChannelSynchronously: channel)
            }
        }
    return try await channel.executeThenClose { inbound, outbound in
        var connection = RawConnection(inbound, outbound)
        return try await body(&connection)
    }
}

/// The text of a request.
func rawRequest(
    _ line: String, _ headers: [String] = [], body: String? = nil
) -> String {
    var lines = ["\(line) HTTP/1.1", "Host: localhost"] + headers
    if let body { lines.append("Content-Length: \(body.utf8.count)") }
    return lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
}
