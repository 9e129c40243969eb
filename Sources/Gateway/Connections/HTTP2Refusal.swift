// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import NIOCore

/// Answers clients that begin a connection in HTTP/2 in their own protocol, and passes on all others.
///
/// A client that speaks HTTP/2 with prior knowledge cannot read an answer of HTTP/1.1: it would report a broken
/// server. Its first request is answered with 505 and the reason.
///
/// - Source: RFC 9113 sections 3.4 and 4.1; RFC 7541 appendix A for the numbers of the header fields.
final class HTTP2Refusal: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State { case undecided, passing, refusing, answered }

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// Bytes that are looked at for the first request.
    private static let limit = 64 << 10
    /// Time for the first request, and for the client to read the answer.
    private static let lingeringTime = TimeAmount.seconds(2)

    private let log: HTTPRequestLog
    private var state = State.undecided
    private var bytes = ByteBuffer()

    init(log: HTTPRequestLog) {
        self.log = log
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard state != .passing else { return context.fireChannelRead(data) }
        guard state != .answered else { return }
        bytes.writeImmutableBuffer(unwrapInboundIn(data))
        if state == .undecided { decide(context) }
        guard state == .refusing else { return }
        if let stream = firstRequest {
            answer(stream, context)
        } else if bytes.readableBytes > Self.limit {
            context.close(promise: nil)
        }
    }

    private func decide(_ context: ChannelHandlerContext) {
        let start = bytes.readableBytesView.prefix(Self.preface.count)
        guard Self.preface.starts(with: start) else { return passOn(context) }
        guard start.count == Self.preface.count else { return }
        state = .refusing
        bytes.moveReaderIndex(forwardBy: start.count)
        let channel = context.channel
        channel.eventLoop.scheduleTask(in: Self.lingeringTime) { channel.close(promise: nil) }
    }

    private func passOn(_ context: ChannelHandlerContext) {
        state = .passing
        let all = bytes
        bytes = ByteBuffer()
        if all.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(all)) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A part of the preface is all that the client sent.
        if case ChannelEvent.inputClosed? = event as? ChannelEvent, state == .undecided {
            passOn(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// The stream of the first frame of header fields that has arrived.
    private var firstRequest: UInt32? {
        var rest = bytes
        while let frame = rest.readBytes(length: 9) {
            let length = frame[..<3].reduce(0) { $0 << 8 | Int($1) }
            let stream = frame[5...].reduce(0) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
            if frame[3] == 1 { return stream }
            guard rest.readableBytes >= length else { return nil }
            rest.moveReaderIndex(forwardBy: length)
        }
        return nil
    }

    private func answer(_ stream: UInt32, _ context: ChannelHandlerContext) {
        state = .answered
        let error = APIError.versionNotSupported
        let body = jsonBytes(error.body)
        let record = HTTPRequestRecord(
            method: "PRI", path: "-", remoteAddress: context.channel.remoteAddress?.ipAddress,
            start: .now, log: log)
        record.setStatus(error.status.code, route: nil)
        record.setCode(error.code)
        record.add(bytes: body.count)
        var answer = ByteBuffer()
        // Our settings, and the acknowledgement of the client's.
        Self.write(to: &answer, type: 4)
        Self.write(to: &answer, type: 4, flags: 1)
        let fields =
            Self.field(8, String(error.status.code)) + Self.field(31, "application/json")
            + Self.field(28, String(body.count))
        Self.write(to: &answer, type: 1, flags: 4, stream: stream, fields)
        Self.write(to: &answer, type: 0, flags: 1, stream: stream, body)
        // GOAWAY with HTTP_1_1_REQUIRED.
        Self.write(to: &answer, type: 7, Self.big(stream) + Self.big(13))
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { result in
            if case .success = result { record.finish() }
            record.finish(clientDisconnected: true)
            context.close(mode: .output, promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(answer), promise: sent)
    }

    private static func big(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * UInt32($0))) }
    }

    private static func write(
        to answer: inout ByteBuffer, type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0,
        _ payload: [UInt8] = []
    ) {
        answer.writeBytes(big(UInt32(payload.count)).dropFirst())
        answer.writeBytes([type, flags] + big(stream) + payload)
    }

    /// A header field whose name has a number, and whose value has fewer than 127 bytes.
    private static func field(_ number: UInt8, _ value: String) -> [UInt8] {
        let name = number < 15 ? [number] : [15, number - 15]
        return name + [UInt8(value.utf8.count)] + Array(value.utf8)
    }
}
