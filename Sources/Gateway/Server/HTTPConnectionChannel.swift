// Part of Inkstone. Licence: see LICENSE.

import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// The handlers of a connection, from the socket to the server's loop.
struct HTTPConnectionChannel: HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: Responder
    let registry: ConnectionRegistry
    let log: HTTPRequestLog
    /// Time within which a request must be received, from its first byte to its last.
    let readTimeout: Duration
    /// The longest pause between two requests.
    let idleTimeout: Duration

    /// Bytes that are read from a connection before the other connections of its event loop have their turn: a
    /// body in chunks of a byte takes some milliseconds to parse even then.
    private static let bytesPerTurn = 16 << 10

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            if let options = channel.syncOptions {
                try options.setOption(.maxMessagesPerRead, value: 1)
                try options.setOption(
                    .recvAllocator,
                    value: FixedSizeRecvByteBufferAllocator(capacity: Self.bytesPerTurn))
            }
            let connection = Connection(channel)
            let gate = RequestGate(
                connection, log: log, timer: ReadingTimer(limit: readTimeout))
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandlers(HTTP2Refusal(log: log), RequestBytes(gate))
            var limits = NIOHTTPDecoderLimitConfiguration()
            limits.maxHeaderFieldSize = MalformedRequest.maximumFieldBytes
            limits.maxHeaderListSize = MalformedRequest.maximumHeaderBytes
            limits.maxHeaderFieldCount = MalformedRequest.maximumFields
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: false,
                withOutboundHeaderValidation: false, withEncoderConfiguration: .init(),
                withDecoderLimitConfiguration: limits)
            try pipeline.addHandlers([
                gate, HTTP1ToHTTPServerCodec(secure: false),
                ConnectionRecorder(connection, registry: registry),
                HTTPConnectionStateHandler(idleTimeout: idleTimeout, logger: logger),
            ])
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel,
                configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    func handle(value channel: Value, logger: Logger) async {
        await handleHTTP(asyncChannel: channel, logger: logger)
    }
}
