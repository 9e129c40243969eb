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

/// Sends bytes, waits for a signal and hangs up without reading an answer.
func hangUp(port: Int, after request: String, when signal: AsyncStream<Void>) async throws {
    let channel = try await connect(port: port)
    try await channel.executeThenClose { _, outbound in
        try await outbound.write(ByteBuffer(string: request))
        for await _ in signal { break }
    }
}

private func connect(port: Int) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
    try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel(wrappingChannelSynchronously: channel)
            }
        }
}
