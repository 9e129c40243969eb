// Part of Inkstone. Licence: see LICENSE.

import AsyncHTTPClient
import Foundation
package import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOPosix
import Synchronization

/// The client side of all drivers: one event loop, one pool, no retries, no redirects.
package final class HTTPTester: Sendable {
    /// Of the server, without a slash at the end.
    package let base: String
    package let clock: RunClock
    let group: MultiThreadedEventLoopGroup
    private let client: HTTPClient
    private let connections = ConnectionCount()
    private let key: String?
    /// Longest time of one call.
    private let timeout: TimeAmount

    /// Makes a client of the server at `base`, for instance `http://127.0.0.1:9997`.
    ///
    /// `connections` is the most at once: the HTTP client's own limit would be 8, and users beyond it
    /// would wait here instead of at the server. `timeout` is in seconds, `key` a bearer token.
    package init(
        base: String, clock: RunClock, connections limit: Int, timeout: Double, key: String?
    ) {
        self.base = base.hasSuffix("/") ? String(base.dropLast()) : base
        self.clock = clock
        self.key = key
        self.timeout = .nanoseconds(Int64(timeout * 1e9))
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(10)),
            connectionPool: .init(
                idleTimeout: .seconds(30), concurrentHTTP1ConnectionsPerHostSoftLimit: limit),
            decompression: .disabled)
        // Retried connections would hide that the server refuses them.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        let count = self.connections
        configuration.http1_1ConnectionDebugInitializer = { channel in
            count.add(1)
            channel.closeFuture.whenComplete { _ in count.add(-1) }
            return channel.eventLoop.makeSucceededVoidFuture()
        }
        client = HTTPClient(eventLoopGroup: group, configuration: configuration)
    }

    /// Most connections that were open at once since the last call.
    func takeMostConnections() -> Int { connections.takeMost() }

    /// Closes all connections.
    package func shutDown() async {
        try? await client.shutdown()
        try? await group.shutdownGracefully()
    }

    /// Sends a request and waits for the end of its answer, its failure, or the task's
    /// cancellation.
    func perform(_ call: HTTPCall) async -> Exchange {
        let delegate = ExchangeDelegate(clock: clock, readsEvents: call.readsEvents)
        do {
            var request = try HTTPClient.Request(url: base + call.path, method: call.method)
            request.headers.add(name: "x-request-id", value: call.id)
            request.headers.add(name: "user-agent", value: "imgbench")
            if call.readsEvents {
                request.headers.add(name: "accept", value: "text/event-stream, application/json")
            }
            if let key { request.headers.add(name: "authorization", value: "Bearer " + key) }
            if let body = call.body {
                request.headers.add(name: "content-type", value: "application/json")
                request.body = .bytes(body)
            }
            delegate.markSend()
            let task = client.execute(
                request: request, delegate: delegate, deadline: .now() + timeout)
            return try await withTaskCancellationHandler {
                try await task.futureResult.get()
            } onCancel: {
                task.cancel()
            }
        } catch {
            return delegate.failed(Failures.of(error, isCancelled: Task.isCancelled))
        }
    }

    /// A small request outside the load, for health and metrics; `nil` unless it is answered 200.
    package func text(_ path: String, seconds: Double = 10) async -> String? {
        guard
            let request = try? HTTPClient.Request(
                url: path.contains("://") ? path : base + path, method: .GET)
        else { return nil }
        let answer = try? await client.execute(
            request: request, deadline: .now() + .nanoseconds(Int64(seconds * 1e9))
        ).get()
        guard let answer, answer.status == .ok, let body = answer.body else { return nil }
        return String(buffer: body)
    }

    /// Puts the lateness of a timer of the event loop, in ms, into `sink` every 50 ms.
    func watchLoop(_ sink: @escaping @Sendable (Double) -> Void) -> RepeatedTask {
        let clock = clock
        let due = Mutex(clock.now + 50_000_000)
        return group.next().scheduleRepeatedTask(
            initialDelay: .milliseconds(50), delay: .milliseconds(50)
        ) { _ in
            let now = clock.now
            let late = due.withLock { due in
                defer { due = now + 50_000_000 }
                return now - due
            }
            sink(Double(late) / 1e6)
        }
    }
}

/// Counts open connections.
private final class ConnectionCount: Sendable {
    private let state = Mutex((open: 0, most: 0))

    func add(_ change: Int) {
        state.withLock { state in
            state.open += change
            state.most = max(state.most, state.open)
        }
    }

    func takeMost() -> Int {
        state.withLock { state in
            defer { state.most = state.open }
            return state.most
        }
    }
}

/// Collects an answer and when its parts came.
private final class ExchangeDelegate: HTTPClientResponseDelegate {
    typealias Response = Exchange

    private struct State {
        var exchange: Exchange
        var parser: ServerSentEvents?
    }

    private let clock: RunClock
    private let readsEvents: Bool
    private let state: Mutex<State>

    init(clock: RunClock, readsEvents: Bool) {
        self.clock = clock
        self.readsEvents = readsEvents
        state = Mutex(State(exchange: Exchange(send: clock.now)))
    }

    func markSend() { state.withLock { $0.exchange.send = clock.now } }

    /// The exchange as far as it came.
    func failed(_ failure: Exchange.Failure) -> Exchange {
        state.withLock { state in
            var failure = failure
            // Once the head is out, there was a connection.
            if failure.error == .connect, state.exchange.headOut != nil {
                failure.error = .streamBroken
            }
            if failure.error == .timeoutTotal, state.exchange.headOut == nil {
                failure.error = .timeoutConnect
            }
            state.exchange.failure = failure
            state.exchange.end = clock.now
            return state.exchange
        }
    }

    func didSendRequestHead(task: HTTPClient.Task<Exchange>, _ head: HTTPRequestHead) {
        state.withLock { $0.exchange.headOut = clock.now }
    }

    func didReceiveHead(
        task: HTTPClient.Task<Exchange>, _ head: HTTPResponseHead
    ) -> EventLoopFuture<Void> {
        let isStream =
            readsEvents
            && (head.headers.first(name: "content-type") ?? "").hasPrefix("text/event-stream")
        state.withLock { state in
            state.exchange.headIn = clock.now
            state.exchange.status = Int(head.status.code)
            state.exchange.echoedID = head.headers.first(name: "x-request-id")
            state.exchange.server = head.headers.first(name: "server")
            if isStream { state.parser = ServerSentEvents() }
        }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(
        task: HTTPClient.Task<Exchange>, _ buffer: ByteBuffer
    ) -> EventLoopFuture<Void> {
        // The time is taken before the bytes are looked at.
        let now = clock.now
        state.withLock { state in
            if state.exchange.firstByte == nil { state.exchange.firstByte = now }
            state.exchange.bodyBytes += buffer.readableBytes
            if state.parser != nil {
                for event in state.parser?.append(buffer) ?? [] {
                    state.exchange.events.append(
                        StampedEvent(time: now, name: event.name, data: event.data))
                }
            } else {
                buffer.withUnsafeReadableBytes { state.exchange.body.append(contentsOf: $0) }
            }
        }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didFinishRequest(task: HTTPClient.Task<Exchange>) throws -> Exchange {
        state.withLock { state in
            state.exchange.end = clock.now
            return state.exchange
        }
    }
}

extension ByteBuffer: ContiguousBytesPiece {
    package func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeReadableBytes(body)
    }
}

/// Sorts what the HTTP client throws into the classes of the records.
private enum Failures {
    static func of(_ error: any Error, isCancelled: Bool) -> Exchange.Failure {
        if isCancelled {
            return .init(error: .abortedByTester, detail: "given up by the tester")
        }
        let detail = String(describing: error)
        switch error as? HTTPClientError {
        case .connectTimeout?: return .init(error: .timeoutConnect, detail: detail)
        case .deadlineExceeded?, .readTimeout?, .writeTimeout?, .getConnectionFromPoolTimeout?:
            return .init(error: .timeoutTotal, detail: detail)
        case .tlsHandshakeTimeout?: return .init(error: .tls, detail: detail)
        case .remoteConnectionClosed?, .uncleanShutdown?:
            return .init(error: .streamBroken, detail: detail)
        default: break
        }
        if error is NIOConnectionError || detail.contains("connect") && !(error is HTTPParserError)
        {
            return .init(error: .connect, detail: detail)
        }
        if detail.contains("SSL") || detail.contains("tls") {
            return .init(error: .tls, detail: detail)
        }
        return .init(error: .streamBroken, detail: detail)
    }
}
