// Part of Inkstone. Licence: see LICENSE.

import NIOCore
import NIOPosix

/// Sends bytes to a port of this machine and reads until the other side closes.
func rawExchange(port: Int, _ request: String) async throws -> String {
    try await rawExchange(port: port, ByteBuffer(string: request)) { _ in }
}

/// Sends bytes and reads until the other side closes; `onRead` gets everything read so far after each read.
func rawExchange(
    port: Int, _ request: ByteBuffer, onRead: (String) -> Void
) async throws -> String {
    let channel = try await connect(port: port)
    return try await channel.executeThenClose { inbound, outbound in
        try await outbound.write(request)
        var answer = ""
        for try await part in inbound {
            answer += String(buffer: part)
            onRead(answer)
        }
        return answer
    }
}

/// Sends a text in pieces of some bytes, closes this side, and reads until the other side closes.
func rawExchange(port: Int, _ request: String, piece: Int) async throws -> String {
    let bytes = Array(request.utf8)
    return try await connect(port: port, isHalfClosing: true).executeThenClose {
        inbound, outbound in
        for start in stride(from: 0, to: bytes.count, by: piece) {
            try await outbound.write(
                ByteBuffer(bytes: bytes[start..<min(bytes.count, start + piece)]))
        }
        outbound.finish()
        var answer = ""
        for try await part in inbound { answer += String(buffer: part) }
        return answer
    }
}

/// Sends bytes, waits for a signal and hangs up without reading an answer.
func hangUp(port: Int, after request: String, when signal: AsyncStream<Void>) async throws {
    let channel = try await connect(port: port)
    try await channel.executeThenClose { _, outbound in
        try await outbound.write(ByteBuffer(string: request))
        for await _ in signal { break }
    }
}

private func connect(
    port: Int, isHalfClosing: Bool = false
) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
    try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .channelOption(.allowRemoteHalfClosure, value: isHalfClosing)
        .connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel(
                    wrappingChannelSynchronously: channel,
                    configuration: .init(isOutboundHalfClosureEnabled: isHalfClosing))
            }
        }
}
