// Part of Inkstone. Licence: see LICENSE.

import Hummingbird
import NIOCore
import NIOHTTPTypes
import Synchronization

/// Sees the first byte of each request on a connection, and the last byte of each answer leave.
///
/// Only here that moment is known: a handler is done when its last bytes are in memory, and a
/// client that reads slowly may take much longer to get them.
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

    /// Bytes were read.
    func bytesRead() {
        state.withLock { state in
            if state.firstByte == nil, state.records.isEmpty { state.firstByte = .now }
        }
    }

    /// When the request whose head has been read began.
    func takeFirstByte() -> ContinuousClock.Instant {
        state.withLock { state in
            defer { state.firstByte = nil }
            return state.firstByte ?? .now
        }
    }

    /// A request is answered from now on.
    func begin(_ record: HTTPRequestRecord) {
        state.withLock { $0.records.append(record) }
    }

    /// The request whose last byte is about to be sent.
    func takeRecord() -> HTTPRequestRecord? {
        state.withLock { $0.records.isEmpty ? nil : $0.records.removeFirst() }
    }

    /// The connection is gone.
    func close() {
        while let record = takeRecord() { record.finish(clientLeft: true) }
    }
}

/// The meters of all open connections.
final class ConnectionBoard: Sendable {
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

/// Feeds a connection's meter with requests and answers.
final class ConnectionMeterHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let meter = ConnectionMeter()
    private let board: ConnectionBoard
    private let timer: ReadingTimer

    /// - Parameters:
    ///   - board: where others find the meter.
    ///   - limit: time in which a request must have come, from its first byte to its last.
    init(board: ConnectionBoard, limit: Duration) {
        self.board = board
        timer = ReadingTimer(limit: .nanoseconds(Int64(limit / .nanoseconds(1))))
    }

    func handlerAdded(context: ChannelHandlerContext) {
        board.add(meter, context.channel)
        // Fails only for a connection that is gone already.
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
        board.remove(context.channel)
        meter.close()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer.stop()
        meter.close()
        context.fireChannelInactive()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data), let record = meter.takeRecord() {
            let sent = promise ?? context.eventLoop.makePromise()
            sent.futureResult.whenComplete { result in
                switch result {
                case .success: record.finish()
                case .failure: record.finish(clientLeft: true)
                }
            }
            context.write(data, promise: sent)
        } else {
            context.write(data, promise: promise)
        }
    }
}

/// Closes a connection whose request does not come to its end.
///
/// A byte now and then would keep it open for ever. Of one event loop.
private final class ReadingTimer {
    private let limit: TimeAmount
    private var closing: Scheduled<Void>?

    init(limit: TimeAmount) {
        self.limit = limit
    }

    /// A request comes.
    func start(_ channel: any Channel) {
        guard closing == nil else { return }
        closing = channel.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    /// It is here.
    func stop() {
        closing?.cancel()
        closing = nil
    }
}

/// Sees bytes before anything makes sense of them.
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
