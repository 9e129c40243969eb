// Part of Inkstone. Licence: see LICENSE.

import Hummingbird
import NIOCore
import NIOHTTPTypes
import Synchronization

/// Times the first byte of each request on a connection, and the last byte of each answer.
///
/// Only the channel knows the latter: a handler is done when its last bytes are in memory, and a
/// client that reads slowly may receive them much later.
final class ConnectionMeter: Sendable {
    private struct State {
        /// When the first byte of the next request was read.
        var firstByte: ContinuousClock.Instant?
        /// The requests that are answered, in their order.
        ///
        /// There are two of them when a client sent the next one early and the end of the first
        /// answer is still on its way to the socket.
        var records: [HTTPRequestRecord] = []
    }

    private let state = Mutex(State())

    /// Records that bytes were read.
    func bytesRead() {
        state.withLock { state in
            if state.firstByte == nil, state.records.isEmpty { state.firstByte = .now }
        }
    }

    /// The time of the first byte of the request whose head has been read; the next request starts over.
    func consumeFirstByte() -> ContinuousClock.Instant {
        state.withLock { state in
            defer { state.firstByte = nil }
            return state.firstByte ?? .now
        }
    }

    /// Records that a request is answered from now on.
    func begin(_ record: HTTPRequestRecord) {
        state.withLock { $0.records.append(record) }
    }

    /// Removes and returns the request whose last byte is about to be sent.
    func popRecord() -> HTTPRequestRecord? {
        state.withLock { $0.records.isEmpty ? nil : $0.records.removeFirst() }
    }

    /// Finishes all records: the connection is closed.
    func close() {
        while let record = popRecord() { record.finish(clientDisconnected: true) }
    }
}

/// The meters of all open connections.
final class ConnectionRegistry: Sendable {
    private let meters = Mutex<[ObjectIdentifier: ConnectionMeter]>([:])

    /// The meter of a connection; `nil` where there is no socket, in tests.
    subscript(channel: any Channel) -> ConnectionMeter? {
        meters.withLock { $0[ObjectIdentifier(channel)] }
    }

    fileprivate func add(_ meter: ConnectionMeter, _ channel: any Channel) {
        meters.withLock { $0[ObjectIdentifier(channel)] = meter }
    }

    fileprivate func remove(_ channel: any Channel) {
        meters.withLock { $0[ObjectIdentifier(channel)] = nil }
    }
}

/// Reports the requests and answers of a connection to its meter.
final class ConnectionMeterHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let meter = ConnectionMeter()
    private let registry: ConnectionRegistry
    private let timer: ReadingTimer

    /// - Parameters:
    ///   - registry: the registry of the meters.
    ///   - limit: time within which a request must be received, from its first byte to its last.
    init(registry: ConnectionRegistry, limit: Duration) {
        self.registry = registry
        timer = ReadingTimer(limit: .nanoseconds(Int64(limit / .nanoseconds(1))))
    }

    func handlerAdded(context: ChannelHandlerContext) {
        registry.add(meter, context.channel)
        // Fails only for a connection that is closed already.
        try? context.pipeline.syncOperations.addHandler(
            FirstByteHandler(meter: meter, timer: timer), position: .first)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: timer.start(context.channel)
        case .end: timer.stop()
        case .body: break
        }
        context.fireChannelRead(data)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        registry.remove(context.channel)
        meter.close()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer.stop()
        meter.close()
        context.fireChannelInactive()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data), let record = meter.popRecord() {
            let sent = promise ?? context.eventLoop.makePromise()
            sent.futureResult.whenComplete { result in
                switch result {
                case .success: record.finish()
                case .failure: record.finish(clientDisconnected: true)
                }
            }
            context.write(data, promise: sent)
        } else {
            context.write(data, promise: promise)
        }
    }
}

/// Closes a connection whose request is not completed in time.
///
/// Otherwise a byte now and then would keep it open for ever. Confined to one event loop.
private final class ReadingTimer {
    private let limit: TimeAmount
    private var closing: Scheduled<Void>?

    init(limit: TimeAmount) {
        self.limit = limit
    }

    /// Starts the timer unless it runs.
    func start(_ channel: any Channel) {
        guard closing == nil else { return }
        closing = channel.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    /// Stops the timer: the request is complete.
    func stop() {
        closing?.cancel()
        closing = nil
    }
}

/// Reports bytes to the meter before they are parsed.
private final class FirstByteHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let meter: ConnectionMeter
    private let timer: ReadingTimer

    init(meter: ConnectionMeter, timer: ReadingTimer) {
        self.meter = meter
        self.timer = timer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        meter.bytesRead()
        timer.start(context.channel)
        context.fireChannelRead(data)
    }
}
