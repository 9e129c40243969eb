// Part of Inkstone. Licence: see LICENSE.

import Engine
import Gateway
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// What a client sends while its request is answered.
@Suite("Requests of one connection", .timeLimit(.minutes(5)))
struct RequestGateTests {
    private let images = "POST /v1/images/generations"
    private let body = #"{"prompt": "p", "response_format": "b64_json"}"#

    /// Waits four times as long as a request may take to be read.
    private func outlastReadTimeout() async throws { try await Task.sleep(for: .milliseconds(800)) }

    @Test(
        "stray bytes and the start of a next request do not end the one that is answered",
        arguments: ["\r\n", "\r\n\r\n", "G", "GET /livez HTTP/1.1\r\nHo", "\u{1}\u{2}"])
    func strayBytes(bytes: String) async throws {
        let generator = try FakeGenerator(.pause)
        try await withGateway(generator, configure: { $0.readTimeout = .milliseconds(200) }) {
            client in
            let answer = try await withConnection(port: client.port) { connection in
                try await connection.send(rawRequest(images, body: body))
                for await _ in generator.beginnings { break }
                try await connection.send(bytes)
                try await outlastReadTimeout()
                generator.resume()
                return try await connection.readAnswer()
            }
            #expect(answer.head.hasPrefix("HTTP/1.1 200 OK"))
            #expect(answer.body.contains("b64_json"))
        }
    }

    @Test("requests that are sent at once are answered one after the other")
    func pipelined() async throws {
        let generator = try FakeGenerator(.pause)
        try await withGateway(generator) { client in
            try await withConnection(port: client.port) { connection in
                try await connection.send(
                    rawRequest(images, body: body) + rawRequest("GET /version")
                        + rawRequest("POST /api/estimate", body: #"{"prompt": ""#))
                for await _ in generator.beginnings { break }
                generator.resume()
                let first = try await connection.readAnswer()
                #expect(first.head.hasPrefix("HTTP/1.1 200 OK") && first.body.contains("b64_json"))
                let second = try await connection.readAnswer()
                #expect(second.body.contains("inkstone"))
                let third = try await connection.readAnswer()
                #expect(third.head.hasPrefix("HTTP/1.1 400"))
                // The connection is still open.
                try await connection.send(rawRequest("GET /livez"))
                #expect(try await connection.readAnswer().body.contains("ok"))
            }
        }
    }

    @Test("a request whose beginning arrives early is read when its turn comes")
    func split() async throws {
        let generator = try FakeGenerator(.pause)
        try await withGateway(generator, configure: { $0.readTimeout = .seconds(30) }) { client in
            try await withConnection(port: client.port) { connection in
                try await connection.send(
                    rawRequest(images, body: body) + "GET /version HTTP/1.1\r\nHost: loc")
                for await _ in generator.beginnings { break }
                generator.resume()
                #expect(try await connection.readAnswer().head.hasPrefix("HTTP/1.1 200 OK"))
                try await connection.send("alhost\r\n\r\n")
                #expect(try await connection.readAnswer().body.contains("inkstone"))
            }
        }
    }

    @Test("the time to read a request runs again once the answer before it is written")
    func nextRequestIsTimed() async throws {
        let generator = try FakeGenerator(.pause)
        try await withGateway(generator, configure: { $0.readTimeout = .milliseconds(200) }) {
            client in
            try await withConnection(port: client.port) { connection in
                try await connection.send(rawRequest(images, body: body))
                for await _ in generator.beginnings { break }
                try await connection.send("GET /version HTTP/1.1\r\nHost: loc")
                try await outlastReadTimeout()
                generator.resume()
                #expect(try await connection.readAnswer().head.hasPrefix("HTTP/1.1 200 OK"))
                // The rest never comes.
                #expect(try await connection.readToEnd() == "")
            }
        }
    }

    @Test("what cannot be parsed is refused when its turn comes")
    func malformedFollower() async throws {
        let generator = try FakeGenerator(.pause)
        try await withGateway(generator) { client in
            try await withConnection(port: client.port) { connection in
                try await connection.send(rawRequest(images, body: body) + "no request\r\n\r\n")
                for await _ in generator.beginnings { break }
                generator.resume()
                #expect(try await connection.readAnswer().head.hasPrefix("HTTP/1.1 200 OK"))
                let refusal = try await connection.readToEnd()
                #expect(refusal.hasPrefix("HTTP/1.1 501") || refusal.hasPrefix("HTTP/1.1 400"))
            }
        }
    }

    @Test("a client that sends ahead without an end is not read without an end")
    func bounded() async throws {
        let generator = try FakeGenerator(.pause)
        let ahead = String(repeating: rawRequest("GET /livez"), count: 4000)
        try await withGateway(generator) { client in
            try await withConnection(port: client.port) { connection in
                try await connection.send(rawRequest(images, body: body))
                for await _ in generator.beginnings { break }
                try await connection.send(ahead)
                generator.resume()
                #expect(try await connection.readAnswer().head.hasPrefix("HTTP/1.1 200 OK"))
                for _ in 0..<4000 {
                    let answer = try await connection.readAnswer()
                    try #require(answer.body.contains("ok"))
                }
            }
        }
    }

    @Test("while a request is in progress, what follows it is left in the socket")
    func backPressure() async throws {
        let generator = try FakeGenerator(.pause)
        try await withGateway(generator) { client in
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: client.port).get()
            try await channel.writeAndFlush(
                ByteBuffer(string: rawRequest(images, body: body))
            ).get()
            for await _ in generator.beginnings { break }
            // More than the buffers of both sockets hold.
            let ahead = String(repeating: rawRequest("GET /livez"), count: (64 << 20) / 40)
            let isRead = Atomic(false)
            channel.writeAndFlush(ByteBuffer(string: ahead)).whenSuccess {
                isRead.store(true, ordering: .relaxed)
            }
            try await Task.sleep(for: .seconds(2))
            let wasRead = isRead.load(ordering: .relaxed)
            #expect(!wasRead)
            generator.resume()
            try await channel.close().get()
        }
    }

    @Test("a client that disconnects after it sent the next request cancels the first one")
    func disconnectWithFollower() async throws {
        let generator = try FakeGenerator(.hang)
        try await withGateway(generator) { client in
            try await hangUp(
                port: client.port,
                after: rawRequest(images, body: body) + rawRequest("GET /livez"),
                when: generator.beginnings)
            for await _ in generator.cancellations { break }
        }
    }

    @Test("an answer to a request for images leaves the connection open")
    func keepAlive() async throws {
        try await withGateway(try FakeGenerator()) { client in
            try await withConnection(port: client.port) { connection in
                for path in ["/v1/images/generations", "/sdapi/v1/txt2img"] {
                    try await connection.send(rawRequest("POST \(path)", body: body))
                    #expect(try await connection.readAnswer().head.hasPrefix("HTTP/1.1 200 OK"))
                }
                try await connection.send(
                    rawRequest(images, body: #"{"prompt": "p", "stream": true}"#))
                #expect(try await connection.read(until: "0\r\n\r\n").contains("completed"))
                try await connection.send(rawRequest("GET /livez"))
                #expect(try await connection.readAnswer().body.contains("ok"))
            }
        }
    }
}
