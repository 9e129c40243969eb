// Part of Inkstone. Licence: see LICENSE.

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A server on this machine that reads requests and answers with exactly the bytes of a script.
final class ScriptedServer: Sendable {
    struct Request: Sendable {
        var head: HTTPRequestHead
        var body: [UInt8]
    }

    /// One thing that the server does for an answer.
    enum Step: Sendable {
        case send(String)
        /// So many zeros, in pieces of 64 KiB, each once the one before has left.
        case sendZeros(Int)
        case wait(milliseconds: Int64)
        case close
        /// Closes with a reset instead of an end.
        case reset
    }

    struct State {
        var requests: [Request] = []
        var opened = 0
        var open = 0
        var sentBytes = 0
    }

    /// A separate thread: the work of other tests does not delay the script.
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let channel: any Channel
    let state: StateBox

    final class StateBox: Sendable {
        let value = Mutex(State())
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    var address: String { "http://127.0.0.1:\(port)" }
    var requests: [Request] { state.value.withLock { $0.requests } }
    var opened: Int { state.value.withLock { $0.opened } }
    var open: Int { state.value.withLock { $0.open } }
    var sentBytes: Int { state.value.withLock { $0.sentBytes } }

    init(_ script: @escaping @Sendable (Request) -> [Step]) async throws {
        let state = StateBox()
        self.state = state
        channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .childChannelOption(.allowRemoteHalfClosure, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        ByteToMessageHandler(HTTPRequestDecoder()), Handler(state, script))
                }
            }.bind(host: "127.0.0.1", port: 0).get()
    }

    func close() async throws {
        try await channel.close()
        try await group.shutdownGracefully()
    }

    /// Waits until something holds; fails after ten seconds.
    func wait(until condition: @Sendable (State) -> Bool) async -> Bool {
        for _ in 0..<2000 {
            if state.value.withLock({ condition($0) }) { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    /// An answer with a length.
    static func answer(_ body: String, status: String = "200 OK", headers: String = "") -> [Step] {
        [
            .send(
                "HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\(headers)\r\n\(body)")
        ]
    }
}

private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    private let state: ScriptedServer.StateBox
    private let script: @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step]
    private var request: ScriptedServer.Request?

    init(
        _ state: ScriptedServer.StateBox,
        _ script: @escaping @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step]
    ) {
        self.state = state
        self.script = script
    }

    func channelActive(context: ChannelHandlerContext) {
        state.value.withLock { ($0.opened, $0.open) = ($0.opened + 1, $0.open + 1) }
    }

    func channelInactive(context: ChannelHandlerContext) { state.value.withLock { $0.open -= 1 } }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): request = .init(head: head, body: [])
        case .body(let bytes): request?.body += Array(bytes.readableBytesView)
        case .end:
            guard let request else { return }
            state.value.withLock { $0.requests.append(request) }
            Script(channel: context.channel, state: state).run(script(request)[...])
        }
    }
}

/// Runs the steps of an answer, one after the other.
private struct Script: Sendable {
    let channel: any Channel
    let state: ScriptedServer.StateBox

    func run(_ steps: ArraySlice<ScriptedServer.Step>) {
        guard channel.isActive, let step = steps.first else { return }
        let rest = steps.dropFirst()
        switch step {
        case .send(let text):
            channel.writeAndFlush(ByteBuffer(string: text)).whenSuccess { run(rest) }
        case .sendZeros(let count):
            let piece = ByteBuffer(repeating: 0, count: min(count, 1 << 16))
            channel.writeAndFlush(piece).whenSuccess {
                state.value.withLock { $0.sentBytes += piece.readableBytes }
                let left = count - piece.readableBytes
                run(left > 0 ? [.sendZeros(left)] + rest : rest)
            }
        case .wait(let milliseconds):
            channel.eventLoop.scheduleTask(in: .milliseconds(milliseconds)) { run(rest) }
        case .close: channel.close(promise: nil)
        case .reset:
            // No lingering: what is not sent is dropped, and the other side sees a reset.
            (channel as? any SocketOptionProvider)?
                .setSoLinger(linger(l_onoff: 1, l_linger: 0))
                .whenComplete { _ in channel.close(promise: nil) }
        }
    }
}
