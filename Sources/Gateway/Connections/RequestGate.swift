// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import NIOCore
import NIOHTTP1

/// Hands the requests of a connection on one at a time, and answers those that cannot be parsed.
///
/// * What a client sends while its request is answered waits until the answer has been written: the next
///   request, the beginning of one, or stray line ends. The time to read a request runs only while one is
///   read.
/// * A client of HTTP/1.0 gets an answer without chunks, and the connection is closed.
/// * `100 Continue` is sent when the body is wanted. If the answer comes first, the connection is closed
///   behind it, since the client may or may not send its body.
final class RequestGate: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// The event that asks for `100 Continue`.
    struct SendContinue: Sendable {}

    /// Bytes that wait for the answer before them; with more, nothing is read from the socket.
    private static let heldLimit = 64 << 10
    /// Time in which bytes of the client are discarded behind the last answer.
    private static let lingeringTime = TimeAmount.seconds(2)
    /// Parts of a body below this size are joined: each one that is handed on costs a task switch.
    private static let joinedBytes = 4 << 10

    private let connection: Connection
    private let log: HTTPRequestLog
    private let timer: ReadingTimer

    /// Whether the head of a request was handed on, and not yet its end.
    private var isReading = false
    /// Whether the head of a request was handed on, and the end of its answer not yet written.
    private var isAnswering = false
    /// Whether the request is one of HTTP/1.0.
    private var isOldVersion = false
    /// Whether the client waits for `100 Continue`.
    private var expectsContinue = false
    private var closesAfterAnswer = false
    /// Whether nothing more is handed on in either direction.
    private var isClosing = false
    private var outputIsClosed = false

    private var held = CircularBuffer<HTTPServerRequestPart>()
    private var heldBytes = 0
    /// Whether bytes arrived behind the last request that is complete.
    private var hasMoreBytes = false
    private var heldFailure: (any Error)?
    private var inputIsClosed = false
    private var holdsInputClosed = false
    private var readIsPending = false
    /// Small parts of a body.
    private var joined = ByteBuffer()
    /// The beginning of a request.
    private var start: [UInt8] = []

    init(_ connection: Connection, log: HTTPRequestLog, timer: ReadingTimer) {
        self.connection = connection
        self.log = log
        self.timer = timer
    }

    // MARK: - Requests

    /// Records bytes that are about to be parsed.
    func received(_ bytes: ByteBuffer, _ channel: any Channel) {
        guard !isReading, !isClosing,
            let first = bytes.readableBytesView.firstIndex(where: { $0 != 0x0D && $0 != 0x0A })
        else { return }
        guard !isAnswering, held.isEmpty else {
            hasMoreBytes = true
            return
        }
        if start.count < 32 { start += bytes.readableBytesView[first...].prefix(32 - start.count) }
        connection.bytesRead()
        timer.start(channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        let part = unwrapInboundIn(data)
        guard isAnswering && !isReading || !held.isEmpty else { return admit(part, context) }
        held.append(part)
        switch part {
        case .head: heldBytes += 1024
        case .body(let bytes): heldBytes += bytes.readableBytes
        case .end: hasMoreBytes = false
        }
    }

    /// Hands a part of a request on.
    private func admit(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head(let head): admit(head, context)
        case .body(let bytes):
            expectsContinue = false
            if bytes.readableBytes >= Self.joinedBytes {
                handOnJoined(context)
                context.fireChannelRead(wrapInboundOut(part))
            } else {
                joined.writeImmutableBuffer(bytes)
                if joined.readableBytes >= Self.heldLimit { handOnJoined(context) }
            }
        case .end:
            handOnJoined(context)
            isReading = false
            start = []
            timer.stop()
            context.fireChannelRead(wrapInboundOut(part))
        }
    }

    private func admit(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        if let malformed = MalformedRequest(head) { return refuse(malformed, context) }
        var head = head
        isReading = true
        isAnswering = true
        isOldVersion = head.version.isOld
        let tokens = head.headers[canonicalForm: "connection"].map { $0.lowercased() }
        // Behind a request to change the protocol the parser reads nothing more.
        closesAfterAnswer =
            isOldVersion || tokens.contains("close") || tokens.contains("upgrade")
            || head.method == .CONNECT
        // What the server's loop looks for, in this form.
        if closesAfterAnswer { head.headers.replaceOrAdd(name: "connection", value: "close") }
        expectsContinue =
            !isOldVersion
            && head.headers[canonicalForm: "expect"].contains { $0.lowercased() == "100-continue" }
        timer.start(context.channel)
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    private func handOnJoined(_ context: ChannelHandlerContext) {
        guard joined.readableBytes > 0 else { return }
        let bytes = joined
        joined = ByteBuffer()
        context.fireChannelRead(wrapInboundOut(.body(bytes)))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        handOnJoined(context)
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if heldBytes > Self.heldLimit {
            readIsPending = true
        } else {
            context.read()
        }
    }

    /// Goes on with what arrived during the answer that has been written.
    private func resume(_ context: ChannelHandlerContext) {
        if hasMoreBytes || !held.isEmpty {
            connection.bytesRead()
            timer.start(context.channel)
        }
        hasMoreBytes = false
        while !isClosing, !isAnswering || isReading, let part = held.popFirst() {
            admit(part, context)
        }
        heldBytes = held.isEmpty ? 0 : heldBytes
        handOnJoined(context)
        context.fireChannelReadComplete()
        guard !isClosing, held.isEmpty else { return }
        if let failure = heldFailure {
            heldFailure = nil
            fail(failure, context)
        }
        if holdsInputClosed, !isClosing {
            holdsInputClosed = false
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
        if readIsPending {
            readIsPending = false
            context.read()
        }
    }

    // MARK: - Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard isAnswering, !isClosing else {
            // Drops the second answer, which the server's loop writes if the body is damaged.
            promise?.fail(ChannelError.outputClosed)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(var head):
            let isLast = head.headers[canonicalForm: "connection"].contains { $0 == "close" }
            if isLast || expectsContinue && isReading { closesAfterAnswer = true }
            if isOldVersion { head.version = .http1_0 }
            if closesAfterAnswer { head.headers.replaceOrAdd(name: "connection", value: "close") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body: context.write(data, promise: promise)
        case .end: writeEnd(context, data, promise)
        }
    }

    private func writeEnd(
        _ context: ChannelHandlerContext, _ data: NIOAny, _ promise: EventLoopPromise<Void>?
    ) {
        isAnswering = false
        guard closesAfterAnswer else {
            context.write(data, promise: promise)
            if !isReading { resume(context) }
            return
        }
        isClosing = true
        timer.stop()
        let sent = promise ?? context.eventLoop.makePromise()
        sent.futureResult.assumeIsolated().whenComplete { _ in self.closeGently(context) }
        context.write(data, promise: sent)
    }

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
    ) {
        guard event is SendContinue else {
            return context.triggerUserOutboundEvent(event, promise: promise)
        }
        guard expectsContinue, isReading, !isClosing else {
            promise?.succeed()
            return
        }
        expectsContinue = false
        let head = HTTPResponseHead(version: .http1_1, status: .continue)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: promise)
    }

    // MARK: - Failures

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError || error is ByteToMessageDecoderError else {
            return context.fireErrorCaught(error)
        }
        guard !isClosing else { return }
        if isAnswering && !isReading || !held.isEmpty {
            heldFailure = heldFailure ?? error
        } else {
            fail(error, context)
        }
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        guard isReading else {
            let known = error as? HTTPParserError ?? .unknown
            return refuse(MalformedRequest(known, start: start), context)
        }
        // The route that reads the body answers.
        timer.stop()
        handOnJoined(context)
        closesAfterAnswer = true
        context.fireErrorCaught(error)
        if !isAnswering {
            isClosing = true
            closeGently(context)
        }
    }

    /// Answers a request that no route gets, and closes the connection.
    private func refuse(_ malformed: MalformedRequest, _ context: ChannelHandlerContext) {
        isClosing = true
        timer.stop()
        let record = HTTPRequestRecord(
            method: malformed.method, path: malformed.path,
            remoteAddress: context.channel.remoteAddress?.ipAddress,
            start: connection.consumeFirstByte(), log: log)
        let body = jsonBytes(malformed.answer.body)
        record.setStatus(malformed.answer.status.code, route: nil)
        record.setCode(malformed.answer.code)
        record.add(bytes: body.count)
        let head = HTTPResponseHead(
            version: .http1_1, status: .init(statusCode: malformed.answer.status.code),
            headers: [
                "content-type": "application/json; charset=utf-8",
                "content-length": String(body.count), "connection": "close",
                "cache-control": "no-store", "x-content-type-options": "nosniff",
                "x-request-id": record.requestID, "server": "inkstone",
            ])
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(
            wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { result in
            if case .success = result { record.finish() }
            record.finish(clientDisconnected: true)
            self.closeGently(context)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: sent)
    }

    /// Closes our side, and the connection when the client has closed its own or a while later: closing it at
    /// once could discard the answer, if bytes of the client were not read.
    private func closeGently(_ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        guard !inputIsClosed else { return context.close(promise: nil) }
        outputIsClosed = true
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        channel.eventLoop.scheduleTask(in: Self.lingeringTime) { channel.close(promise: nil) }
    }

    // MARK: - Closing

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed? = event as? ChannelEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        inputIsClosed = true
        connection.inputClosed()
        if isClosing {
            if outputIsClosed { context.close(promise: nil) }
        } else if !held.isEmpty || heldFailure != nil {
            holdsInputClosed = true
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer.stop()
        isClosing = true
        context.fireChannelInactive()
    }
}

/// Reports bytes to the gate before they are parsed.
final class RequestBytes: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let gate: RequestGate

    init(_ gate: RequestGate) {
        self.gate = gate
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        gate.received(unwrapInboundIn(data), context.channel)
        context.fireChannelRead(data)
    }
}
