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
        var records: [RequestRecord] = []
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
    func begin(_ record: RequestRecord) {
        state.withLock { $0.records.append(record) }
    }

    /// The request whose last byte is about to be sent.
    func takeRecord() -> RequestRecord? {
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

    init(board: ConnectionBoard) {
        self.board = board
    }

    func handlerAdded(context: ChannelHandlerContext) {
        board.add(meter, context.channel)
        // Fails only for a connection that is gone already.
        try? context.pipeline.syncOperations.addHandler(
            FirstByteHandler(meter: meter), position: .first)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        board.remove(context.channel)
        meter.close()
    }

    func channelInactive(context: ChannelHandlerContext) {
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

/// Sees bytes before anything makes sense of them.
private final class FirstByteHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let meter: ConnectionMeter

    init(meter: ConnectionMeter) {
        self.meter = meter
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        meter.bytesRead()
        context.fireChannelRead(data)
    }
}
