// Part of Inkstone. Licence: see LICENSE.

import NIOCore
import NIOHTTPTypes

/// Finishes the record of a request when the last byte of its answer was sent, or the connection was closed.
final class ConnectionRecorder: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let connection: Connection
    private let registry: ConnectionRegistry

    init(_ connection: Connection, registry: ConnectionRegistry) {
        self.connection = connection
        self.registry = registry
    }

    func handlerAdded(context: ChannelHandlerContext) {
        registry.add(connection, context.channel)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        registry.remove(context.channel)
        connection.close()
    }

    func channelInactive(context: ChannelHandlerContext) {
        connection.close()
        context.fireChannelInactive()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data), let record = connection.popRecord() {
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
