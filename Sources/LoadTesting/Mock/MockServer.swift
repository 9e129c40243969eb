// Part of Inkstone. Licence: see LICENSE.

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// A mock image server for tests of load testers: fixed service times, exact counters, and a fault
/// for each check of the audit.
public final class MockServer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let service: NIOLoopBound<MockService>

    /// Base URL of the server.
    public let url: String
    package let port: Int

    /// Starts listening on 127.0.0.1.
    ///
    /// - Throws: `RunError` when the port is in use or the access log cannot be written.
    public init(_ settings: MockSettings) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        self.group = group
        do {
            (channel, service) = try await Self.listen(settings, group)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        port = channel.localAddress?.port ?? settings.port
        url = "http://127.0.0.1:\(port)"
    }

    /// Starts the service and its socket on a loop of the group.
    private static func listen(
        _ settings: MockSettings, _ group: MultiThreadedEventLoopGroup
    ) async throws -> (any Channel, NIOLoopBound<MockService>) {
        let loop = group.next()
        let log = try settings.accessLog.map(MockLog.init)
        let service = try await loop.submit {
            NIOLoopBound(MockService(loop: loop, settings: settings, log: log), eventLoop: loop)
        }.get()
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        MockHandler(service: service.value))
                }
            }
            .listen(on: settings.port)
        return (channel, service)
    }

    /// Number of open connections.
    package func connections() async throws -> Int {
        let service = service
        return try await channel.eventLoop.submit { service.value.connections }.get()
    }

    /// Maximum number of connections that were open at once.
    package func mostConnections() async throws -> Int {
        let service = service
        return try await channel.eventLoop.submit { service.value.mostConnections }.get()
    }

    /// Waits until the server is stopped.
    public func wait() async throws { try await channel.closeFuture.get() }

    /// Closes the server.
    public func stop() async {
        try? await channel.close()
        try? await group.shutdownGracefully()
    }
}

extension ServerBootstrap {
    /// Listens on a port of 127.0.0.1.
    fileprivate func listen(on port: Int) async throws -> any Channel {
        do {
            return try await bind(host: "127.0.0.1", port: port).get()
        } catch {
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) }
            throw RunError(
                "The mock server cannot listen on port \(port): \(reason ?? "\(error)").")
        }
    }
}

/// The access log of the mock server.
final class MockLog: Sendable {
    private let handle: FileHandle

    /// Opens the log at its end.
    init(_ path: String) throws {
        do {
            if !FileManager.default.fileExists(atPath: path) {
                try Data().write(to: URL(filePath: path))
            }
            handle = try FileHandle(forWritingTo: URL(filePath: path))
            try handle.seekToEnd()
        } catch {
            throw RunError(
                "The access log \(path) cannot be written: \(ResultError.reason(of: error)).")
        }
    }

    func write(_ line: String) { try? handle.write(contentsOf: Data((line + "\n").utf8)) }
}

/// Handles a connection: reads requests and passes them to the service.
final class MockHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let service: MockService
    private var request: MockRequest?

    init(service: MockService) { self.service = service }

    func channelActive(context: ChannelHandlerContext) {
        service.connections += 1
        service.mostConnections = max(service.mostConnections, service.connections)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        service.connections -= 1
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            request = MockRequest(head: head, begin: .now())
        case .body(var part):
            request?.body.append(contentsOf: part.readBytes(length: part.readableBytes) ?? [])
        case .end:
            guard let request else { return }
            self.request = nil
            service.respond(
                to: request, MockResponse(channel: context.channel, request: request, service))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// A received request.
struct MockRequest {
    var head: HTTPRequestHead
    var begin: NIODeadline
    var body: [UInt8] = []

    var path: String { String(head.uri.prefix { $0 != "?" }) }
    var id: String { head.headers.first(name: "x-request-id") ?? "-" }
}

/// Writes the response of a request, and its line in the log when it is complete.
final class MockResponse {
    let request: MockRequest
    let channel: any Channel
    private let service: MockService
    private(set) var bytes = 0
    private(set) var status = 200
    private var hasEnded = false

    /// The facts about the image for log and metrics.
    var facts = MockFacts()

    init(channel: any Channel, request: MockRequest, _ service: MockService) {
        self.channel = channel
        self.request = request
        self.service = service
    }

    /// Sends a whole response.
    func send(_ status: Int, _ type: String, _ body: [UInt8]) {
        head(status, type, length: body.count)
        write(body)
        end()
    }

    /// Sends the response head.
    func head(_ status: Int, _ type: String, length: Int?) {
        self.status = status
        var headers = HTTPHeaders([("content-type", type), ("server", "imgbench-mock")])
        headers.add(name: "x-request-id", value: request.id)
        if let length { headers.add(name: "content-length", value: String(length)) }
        let head = HTTPResponseHead(
            version: .http1_1, status: .init(statusCode: status), headers: headers)
        channel.writeAndFlush(HTTPServerResponsePart.head(head), promise: nil)
    }

    /// Sends a part of the body.
    func write(_ part: [UInt8]) {
        bytes += part.count
        channel.writeAndFlush(
            HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: part))), promise: nil)
    }

    /// Sends a server-sent event.
    func event(_ name: String, _ json: String) {
        write(Array("event: \(name)\ndata: \(json)\n\n".utf8))
    }

    /// Ends the response; the line is logged when the last byte was written to the socket.
    func end() {
        guard !hasEnded else { return }
        hasEnded = true
        let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in
            let response = bound.value
            response.service.record(response)
        }
    }

    /// Closes the connection before the end of the response.
    func abort() {
        guard !hasEnded else { return }
        hasEnded = true
        channel.close(promise: nil)
        service.record(self)
    }
}

/// The facts about the image of a response.
struct MockFacts {
    /// Whether an image was requested.
    var wantsImage = false
    var queue = 0.0
    var run = 0.0
    var firstPreview: Double?
    var steps = 0
    var size = "-"
    var pixels = 0
    var code = "ok"
    /// Whether an image was delivered.
    var isDelivered = false

    /// The timings of the image as JSON: equal steps.
    var timings: String {
        let step = run / Double(max(1, steps))
        let list = Array(repeating: String(step), count: steps).joined(separator: ",")
        return #"{"text":0,"steps":[\#(list)],"decode":0,"total":\#(run)}"#
    }
}
