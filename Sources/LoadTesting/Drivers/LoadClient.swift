// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization
import Transfers

/// The HTTP client of all drivers: one thread and one pool of connections; no retries, no redirects,
/// no proxies.
package final class LoadClient: Sendable {
    /// Base URL of the server, without a trailing slash.
    package let base: String
    package let clock: RunClock
    private let client: TransferClient
    private let key: String?
    /// Timeout of one call.
    private let timeout: Duration
    /// The same in seconds.
    let timeoutSeconds: Double
    /// Maximum length of health and metrics, in bytes.
    private static let textLimit = 64 << 20

    /// Creates a client of the server at `base`, for instance `http://127.0.0.1:9997`.
    ///
    /// `connections` is the maximum at once: with a lower limit, users would wait here instead of at the
    /// server. `timeout` is in seconds, `key` a bearer token.
    package init(
        base: String, clock: RunClock, connections limit: Int, timeout: Double, key: String?
    ) {
        self.base = base.hasSuffix("/") ? String(base.dropLast()) : base
        self.clock = clock
        self.key = key
        self.timeout = .seconds(timeout)
        timeoutSeconds = timeout
        var settings = TransferClient.Settings()
        settings.connectionLimit = limit
        settings.usesEnvironmentProxies = false
        client = TransferClient(settings)
    }

    /// Returns the maximum number of connections open at once since the last call.
    func resetPeakConnections() -> Int { client.takeMostConnections() }

    /// Closes all connections.
    package func shutDown() async { await client.shutDown() }

    /// Sends a request and waits for the end of the response, its failure, or the task's
    /// cancellation.
    func perform(_ call: HTTPCall) async -> Exchange {
        var request = TransferRequest(base + call.path, method: call.method.rawValue)
        request.headers = ["x-request-id": call.id, "user-agent": "imgbench"]
        if call.readsEvents {
            request.headers.add("accept", "text/event-stream, application/json")
        }
        if let key { request.headers.add("authorization", "Bearer " + key) }
        if let body = call.body {
            request.headers.add("content-type", call.type)
            request.body = body
        }
        request.connectTimeout = .seconds(10)
        request.totalTimeout = timeout
        let receiver = ExchangeReceiver(clock: clock, readsEvents: call.readsEvents)
        let transfer = client.start(request, delegate: receiver)
        return await withTaskCancellationHandler {
            await receiver.exchange()
        } onCancel: {
            transfer.cancel()
        }
    }

    /// Reads a text outside the load, for health and metrics; `nil` unless the status is 200.
    package func text(_ path: String, seconds: Double = 10) async -> String? {
        var request = TransferRequest(path.contains("://") ? path : base + path)
        request.totalTimeout = .seconds(seconds)
        guard let response = try? await client.send(request), response.status == 200,
            let body = try? await response.body.collect(upTo: Self.textLimit)
        else { return nil }
        return String(decoding: body, as: UTF8.self)
    }

    /// Passes the lateness of a timer of the client's thread, in ms, to `sink` every 50 ms.
    func watchLoop(_ sink: @escaping @Sendable (Double) -> Void) -> LatenessWatch {
        client.watchLateness(every: .milliseconds(50)) { sink($0 / .milliseconds(1)) }
    }
}

/// Collects a response and the times of its parts.
private final class ExchangeReceiver: TransferDelegate {
    private struct State {
        var exchange: Exchange
        var parser: ServerSentEvents?
        var isEnded = false
        var reader: CheckedContinuation<Exchange, Never>?
    }

    private let clock: RunClock
    private let readsEvents: Bool
    private let state: Mutex<State>

    init(clock: RunClock, readsEvents: Bool) {
        self.clock = clock
        self.readsEvents = readsEvents
        state = Mutex(State(exchange: Exchange(send: clock.now)))
    }

    /// Waits for the end of the exchange.
    func exchange() async -> Exchange {
        await withCheckedContinuation { reader in
            let exchange = state.withLock { state in
                if !state.isEnded { state.reader = reader }
                return state.isEnded ? state.exchange : nil
            }
            if let exchange { reader.resume(returning: exchange) }
        }
    }

    func transferWillSend() { state.withLock { $0.exchange.headOut = clock.now } }

    func transferDidReceive(_ head: TransferHead) {
        let now = clock.now
        let isStream =
            readsEvents && (head.headers.first("content-type") ?? "").hasPrefix("text/event-stream")
        state.withLock { state in
            state.exchange.headIn = now
            state.exchange.status = head.status
            state.exchange.echoedID = head.headers.first("x-request-id")
            state.exchange.server = head.headers.first("server")
            if isStream { state.parser = ServerSentEvents() }
        }
    }

    func transferDidReceive(_ bytes: UnsafeRawBufferPointer) -> TransferFlow {
        // The time is read before the bytes are parsed.
        let now = clock.now
        state.withLock { state in
            if state.exchange.firstByte == nil { state.exchange.firstByte = now }
            state.exchange.bodyBytes += bytes.count
            if state.parser != nil {
                for event in state.parser?.append(bytes) ?? [] {
                    state.exchange.events.append(
                        StampedEvent(time: now, name: event.name, data: event.data))
                }
            } else {
                state.exchange.body.append(contentsOf: bytes)
            }
        }
        return .proceed
    }

    func transferDidEnd(_ error: TransferError?) {
        let now = clock.now
        let (reader, exchange) = state.withLock { state in
            state.isEnded = true
            state.exchange.end = now
            state.exchange.failure = error.map {
                Exchange.Failure($0, wasSent: state.exchange.headOut != nil)
            }
            return (state.reader, state.exchange)
        }
        reader?.resume(returning: exchange)
    }
}

extension UnsafeRawBufferPointer: ContiguousBytesPiece {
    package func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) { body(self) }
}

extension Exchange.Failure {
    /// Maps an error of the HTTP client to an error class.
    fileprivate init(_ error: TransferError, wasSent: Bool) {
        detail = error.code == .cancelled ? "cancelled by the load tester" : error.description
        // A request that was sent had a connection.
        self.error =
            switch error.code {
            case .cancelled: .abortedByTester
            case .tls: .tls
            case .connectTimeout: .timeoutConnect
            case .timeout: wasSent ? .timeoutTotal : .timeoutConnect
            case .connect, .unresolved: wasSent ? .streamBroken : .connect
            case .closed, .request, .response, .redirects, .other: .streamBroken
            }
    }
}
