// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A hub on this machine, with one repository and the faults of real ones.
final class FakeHub: Sendable {
    /// What goes wrong with one answer.
    enum Fault: Sendable {
        /// A status in place of the file, with what `Retry-After` says.
        case status(UInt, retryAfter: String?)
        /// The connection closes after so many bytes.
        case drop(after: Int)
        /// Other bytes than announced.
        case wrongBytes
        /// More bytes than announced.
        case tooLong
        /// The whole file, whatever was asked for.
        case wholeFile
        /// Another part than was asked for.
        case wrongPart
        /// Bytes come one by one, for a test to stop in the middle.
        case slow
    }

    struct Request: Sendable, Equatable {
        var path: String
        var range: String?
        var token: String?
    }

    struct State {
        var files: [String: [UInt8]] = [:]
        /// Announced in place of what the file has.
        var sizes: [String: Int] = [:]
        var faults: [String: [Fault]] = [:]
        var requests: [Request] = []
        var wantsToken: String?
        var isModelScope = false
        var pageSize = 1000
        /// Address of another host, which the links to further pages name.
        var linkAddress: String?
    }

    static let repository = "owner/model"
    let state = Mutex(State())
    private let channel: any Channel

    var address: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    init(_ files: [String: [UInt8]]) async throws {
        let shared = Box()
        channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(shared))
                }
            }.bind(host: "127.0.0.1", port: 0).get()
        state.withLock { $0.files = files }
        shared.set(self)
    }

    func close() async throws { try await channel.close() }

    /// Requests for files, without those for lists.
    var fetched: [Request] {
        state.withLock {
            $0.requests.filter { $0.path.contains("resolve") || $0.path.contains("FilePath") }
        }
    }

    // MARK: Answers

    fileprivate struct Answer {
        var status = HTTPResponseStatus.ok
        var headers: HTTPHeaders = [:]
        var body: [UInt8] = []
        var closesAfter: Int?
        var isSlow = false
    }

    fileprivate func answer(_ head: HTTPRequestHead) -> Answer {
        state.withLock { state in
            let uri = head.uri.removingPercentEncoding ?? head.uri
            let token = head.headers.first(name: "Authorization")
            state.requests.append(
                Request(path: uri, range: head.headers.first(name: "Range"), token: token))
            if let wanted = state.wantsToken, token != "Bearer \(wanted)" {
                return Answer(status: .unauthorized)
            }
            let isList = uri.contains("/tree/") || uri.contains("/repo/files")
            if uri.contains("/revision/") { return json(#"{"sha":"c0ffee"}"#) }
            if isList { return list(&state, uri) }
            let marker = state.isModelScope ? "FilePath=" : "/resolve/c0ffee/"
            guard let place = uri.range(of: marker), uri.contains(Self.repository),
                let file = state.files[String(uri[place.upperBound...])]
            else { return Answer(status: .notFound) }
            return content(file, String(uri[place.upperBound...]), head, &state)
        }
    }

    private func json(_ text: String) -> Answer { Answer(body: Array(text.utf8)) }

    private func list(_ state: inout State, _ uri: String) -> Answer {
        let names = state.files.keys.sorted()
        var first = 0
        if let place = uri.range(of: "cursor=") { first = Int(uri[place.upperBound...]) ?? 0 }
        let page = names[min(first, names.count)..<min(first + state.pageSize, names.count)]
        let entries = page.map { name -> String in
            let bytes = state.files[name] ?? []
            let size = state.sizes[name] ?? bytes.count
            let sha256 = SHA256.hexadecimal(bytes)
            let blob = Self.gitDigest(bytes)
            if state.isModelScope {
                return #"{"Path":"\#(name)","Type":"blob","Size":\#(size),"Sha256":"\#(sha256)"}"#
            }
            let large =
                name.hasSuffix(".safetensors")
                ? #","lfs":{"oid":"\#(sha256)","size":\#(size)}"# : ""
            return #"{"type":"file","path":"\#(name)","size":\#(size),"oid":"\#(blob)"\#(large)}"#
        }.joined(separator: ",")
        var answer = json(
            state.isModelScope ? #"{"Data":{"Files":[\#(entries)]}}"# : "[\(entries)]")
        if first + state.pageSize < names.count {
            let next =
                "\(state.linkAddress ?? address)/api/models/\(Self.repository)/tree/c0ffee?cursor=\(first + state.pageSize)"
            answer.headers.add(name: "Link", value: "<\(next)>; rel=\"next\"")
        }
        return answer
    }

    private func content(
        _ file: [UInt8], _ name: String, _ head: HTTPRequestHead, _ state: inout State
    ) -> Answer {
        let fault = state.faults[name]?.isEmpty == false ? state.faults[name]?.removeFirst() : nil
        var answer = Answer(body: file)
        var start = 0
        if let range = head.headers.first(name: "Range"),
            let number = Int(range.dropFirst("bytes=".count).dropLast())
        {
            start = number
        }
        if case .wholeFile = fault { start = 0 }
        if case .wrongPart = fault { start = max(0, start - 1) }
        if start > 0 {
            answer.status = .partialContent
            answer.body = Array(file[min(start, file.count)...])
            answer.headers.add(
                name: "Content-Range", value: "bytes \(start)-\(file.count - 1)/\(file.count)")
        }
        switch fault {
        case .status(let status, let pause):
            answer = Answer(status: .init(statusCode: Int(status)))
            if let pause { answer.headers.add(name: "Retry-After", value: pause) }
        case .drop(let count): answer.closesAfter = count
        case .wrongBytes: answer.body = answer.body.map { ~$0 }
        case .tooLong: answer.body += [1, 2, 3]
        case .slow: answer.isSlow = true
        case .wholeFile, .wrongPart, nil: break
        }
        return answer
    }

    private static func gitDigest(_ bytes: [UInt8]) -> String {
        var hash = IncrementalHash(.sha1)
        (Array("blob \(bytes.count)\0".utf8) + bytes).withUnsafeBytes { hash.update($0) }
        return hash.digest.hexadecimal
    }
}

/// The hub, which is there only after its channel.
private final class Box: Sendable {
    private let hub = Mutex<FakeHub?>(nil)

    func set(_ hub: FakeHub) { self.hub.withLock { $0 = hub } }

    func answer(_ head: HTTPRequestHead) -> FakeHub.Answer? { hub.withLock { $0 }?.answer(head) }
}

private final class Handler: ChannelInboundHandler, Sendable {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let hub: Box

    init(_ hub: Box) { self.hub = hub }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = unwrapInboundIn(data), let answer = hub.answer(head) else {
            return
        }
        var headers = answer.headers
        headers.add(name: "Content-Length", value: "\(answer.body.count)")
        let response = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        if answer.isSlow {
            trickle(answer.body[...], context.channel)
            return
        }
        let shown = answer.body.prefix(answer.closesAfter ?? answer.body.count)
        context.writeAndFlush(
            wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: shown)))), promise: nil)
        if answer.closesAfter != nil {
            // Enough time for what was written to arrive.
            let channel = context.channel
            context.eventLoop.scheduleTask(in: .milliseconds(30)) { channel.close(promise: nil) }
        } else {
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    /// A few bytes now and then, for as long as the connection lasts.
    private func trickle(_ bytes: ArraySlice<UInt8>, _ channel: any Channel) {
        guard channel.isActive, !bytes.isEmpty else { return }
        let part = HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: bytes.prefix(100))))
        channel.writeAndFlush(part, promise: nil)
        channel.eventLoop.scheduleTask(in: .milliseconds(10)) {
            self.trickle(bytes.dropFirst(100), channel)
        }
    }
}
