// Part of Inkstone. Licence: see LICENSE.

import NIOHTTP1
import Synchronization
import Testing
import Transfers

/// The client against a server that answers with exactly the bytes of a script.
@Suite("HTTP transfers", .timeLimit(.minutes(5)))
struct TransferClientTests {
    private typealias Server = ScriptedServer

    private func withServer(
        _ script: @escaping @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step],
        settings: TransferClient.Settings = .init(),
        test: (ScriptedServer, TransferClient) async throws -> Void
    ) async throws {
        let server = try await Server(script)
        let client = TransferClient(settings)
        try await test(server, client)
        await client.shutDown()
        try await server.close()
    }

    private func code(
        _ client: TransferClient, _ request: TransferRequest
    ) async throws -> TransferError.Code {
        let error = await #expect(throws: TransferError.self) {
            _ = try await client.send(request).body.collect(upTo: 1 << 30)
        }
        let found = try #require(error)
        #expect(!found.description.isEmpty && !found.description.contains { $0.isNewline })
        return found.code
    }

    // MARK: - Heads and bodies

    @Test("header fields: any case, folded, repeated, empty, after an interim response")
    func headers() async throws {
        try await withServer { _ in
            [
                .send("HTTP/1.1 103 Early Hints\r\nLink: <early>\r\n\r\n"),
                .send(
                    "HTTP/1.1 201 Made\r\nlink:  <a>\r\nLINK: <b>\r\nX-Folded: one\r\n\t two  \r\n"),
                .send("X-Empty:\r\nContent-Length: 2\r\n\r\nhi"),
            ]
        } test: { server, client in
            let response = try await client.send(TransferRequest(server.address + "/a"))
            #expect(response.status == 201)
            #expect(response.headers.all("Link") == ["<a>", "<b>"])
            #expect(response.headers.first("x-folded") == "one two")
            #expect(response.headers.first("X-EMPTY")?.isEmpty == true)
            #expect(response.headers.first("X-Missing") == nil)
            #expect(try await response.body.collect(upTo: 2) == Array("hi".utf8))
        }
    }

    @Test("chunked bodies, bodies until the end of the connection, and none")
    func bodies() async throws {
        try await withServer { request in
            switch request.head.uri {
            case "/chunked":
                [
                    .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"),
                    .wait(milliseconds: 20), .send("3\r\ntwo\r\n0\r\nX-Trailer: t\r\n\r\n"),
                ]
            case "/end": [.send("HTTP/1.1 200 OK\r\n\r\nuntil the end"), .close]
            case "/none": [.send("HTTP/1.1 204 No Content\r\n\r\n")]
            default: [.send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")]
            }
        } test: { server, client in
            for (path, method, text) in [
                ("/chunked", "GET", "onetwo"), ("/end", "GET", "until the end"),
                ("/none", "GET", ""),
                ("/head", "HEAD", ""),
            ] {
                let response = try await client.send(
                    TransferRequest(server.address + path, method: method))
                let body = try await response.body.collect(upTo: 100)
                #expect(String(decoding: body, as: UTF8.self) == text)
                #expect(response.headers.first("X-Trailer") == nil)
            }
            #expect(server.requests.map(\.head.method.rawValue) == ["GET", "GET", "GET", "HEAD"])
        }
    }

    @Test("a request is sent as it is, with nothing added")
    func requests() async throws {
        try await withServer { _ in
            Server.answer("")
        } test: { server, client in
            let big = (0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 256) }
            for (method, body) in [
                ("GET", nil), ("POST", nil), ("POST", []), ("POST", big), ("DELETE", nil),
                ("PUT", [1, 2, 3]), ("PATCH", nil),
            ] as [(String, [UInt8]?)] {
                var request = TransferRequest(
                    server.address + "/../a//b?c=d%20e&f", method: method)
                request.headers = ["X-One": "1", "x-two": "", "X-One": "ä"]
                request.body = body
                _ = try await client.send(request).body.collect(upTo: 0)
                let seen = try #require(server.requests.last)
                #expect(seen.head.method.rawValue == method && seen.head.version == .http1_1)
                #expect(seen.head.uri == "/../a//b?c=d%20e&f")
                #expect(seen.head.headers["x-one"] == ["1", "ä"])
                #expect(seen.head.headers["x-two"] == [""])
                let hasBody = body != nil || ["POST", "PUT", "PATCH"].contains(method)
                let names = Set(seen.head.headers.map { $0.name.lowercased() })
                #expect(
                    names
                        == Set(["host", "x-one", "x-two"] + (hasBody ? ["content-length"] : [])))
                #expect(seen.body == body ?? [])
            }
        }
    }

    @Test("values that would add lines to a head, and invalid addresses, are refused")
    func malformed() async throws {
        try await withServer { _ in
            Server.answer("")
        } test: { server, client in
            var forged = TransferRequest(server.address)
            forged.headers.add("X-One", "1\r\nX-Two: 2")
            var name = TransferRequest(server.address)
            name.headers.add("X One", "1")
            for request in [
                forged, name, TransferRequest(server.address, method: "GET /"),
                TransferRequest("ftp://127.0.0.1/"), TransferRequest("file:///etc/passwd"),
                TransferRequest("http://"), TransferRequest(server.address + "/\n"),
            ] {
                let code = try await code(client, request)
                #expect(code == .request, "\(request.address)")
            }
            #expect(server.requests.isEmpty)
        }
    }

    // MARK: - Redirects

    @Test("redirects are followed up to a limit; another host does not get the authorization")
    func redirects() async throws {
        let port = Mutex(0)
        try await withServer { request in
            switch request.head.uri {
            case "/here": Server.answer("", status: "302 Found", headers: "Location: /there\r\n")
            case "/there":
                Server.answer(
                    "moved", status: "307 Moved",
                    headers: "Location: http://localhost:\(port.withLock { $0 })/end\r\n")
            case "/circle":
                Server.answer("", status: "302 Found", headers: "Location: /circle\r\n")
            case "/file":
                Server.answer("", status: "302 Found", headers: "Location: file:///etc/passwd\r\n")
            default: Server.answer("end")
            }
        } test: { server, client in
            port.withLock { $0 = server.port }
            var request = TransferRequest(server.address + "/here")
            request.headers = ["Authorization": "Bearer secret"]
            #expect(try await client.send(request).status == 302)
            request.redirectLimit = 10
            let response = try await client.send(request)
            #expect(response.status == 200 && response.headers.first("Location") == nil)
            #expect(try await response.body.collect(upTo: 10) == Array("end".utf8))
            let seen = server.requests.suffix(3)
            #expect(seen.map(\.head.uri) == ["/here", "/there", "/end"])
            #expect(
                seen.map { $0.head.headers.first(name: "Authorization") } == [
                    "Bearer secret", "Bearer secret", nil,
                ])
            request.address = server.address + "/circle"
            #expect(try await code(client, request) == .redirects)
            #expect(server.requests.count { $0.head.uri == "/circle" } == 11)
            request.address = server.address + "/file"
            #expect(try await code(client, request) == .request)
        }
    }

    // MARK: - Connections

    @Test("a connection is used again, and counted") func reuse() async throws {
        try await withServer { request in
            // A server may close a connection after any answer.
            Server.answer("ok") + (request.head.uri == "/last" ? [.close] : [])
        } test: { server, client in
            for path in ["/1", "/2", "/last"] {
                let response = try await client.send(TransferRequest(server.address + path))
                #expect(try await response.body.collect(upTo: 2).count == 2)
            }
            #expect(server.opened == 1 && client.connectionCount == 1)
            #expect(await server.wait { $0.open == 0 })
            _ = try await client.send(TransferRequest(server.address)).body.collect(upTo: 2)
            #expect(server.opened == 2 && client.takeMostConnections() == 1)
            await client.shutDown()
            #expect(client.connectionCount == 0)
            #expect(await server.wait { $0.open == 0 })
        }
    }

    @Test("100 at once share the connections that are allowed") func many() async throws {
        var settings = TransferClient.Settings()
        settings.connectionLimit = 10
        try await withServer(
            { request in [.wait(milliseconds: 5)] + Server.answer(request.head.uri) },
            settings: settings
        ) { server, client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        let response = try await client.send(
                            TransferRequest(server.address + "/\(number)"))
                        let body = try await response.body.collect(upTo: 10)
                        #expect(String(decoding: body, as: UTF8.self) == "/\(number)")
                    }
                }
                try await group.waitForAll()
            }
            #expect(server.requests.count == 100 && server.opened == 10)
            #expect(client.takeMostConnections() == 10)
        }
    }

    @Test("a request is sent once, also on a connection that the server closes")
    func once() async throws {
        try await withServer { request in
            request.head.uri == "/1" ? Server.answer("ok") : [.close]
        } test: { server, client in
            for method in ["GET", "POST"] {
                _ = try await client.send(TransferRequest(server.address + "/1")).body.collect(
                    upTo: 2)
                #expect(
                    try await code(client, TransferRequest(server.address + "/2", method: method))
                        == .closed)
            }
            #expect(server.requests.map(\.head.uri) == ["/1", "/2", "/1", "/2"])
        }
    }

    // MARK: - Failures

    @Test("each failure has its code") func failures() async throws {
        try await withServer { request in
            switch request.head.uri {
            case "/short": [.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), .close]
            case "/reset":
                [
                    .send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
                    .wait(milliseconds: 50), .reset,
                ]
            case "/chunk":
                [
                    .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"),
                    .close,
                ]
            case "/nothing": [.close]
            default: [.send("SSH-2.0-OpenSSH_9.2\r\n"), .close]
            }
        } test: { server, client in
            for path in ["/short", "/reset", "/chunk", "/nothing"] {
                #expect(
                    try await code(client, TransferRequest(server.address + path)) == .closed,
                    "\(path)")
            }
            let garbage = try await code(client, TransferRequest(server.address + "/garbage"))
            #expect(garbage == .response)
            #expect(
                try await code(client, TransferRequest("http://nothing.invalid/")) == .unresolved)
            let gone = try await Server { _ in [] }
            let address = gone.address
            try await gone.close()
            #expect(try await code(client, TransferRequest(address)) == .connect)
        }
    }

    @Test("silence and a late end are time-outs, slow bytes are not") func timeouts() async throws {
        try await withServer { request in
            let head = Server.Step.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            return switch request.head.uri {
            case "/silent": [head, .send("a"), .wait(milliseconds: 60_000)]
            case "/mute": [.wait(milliseconds: 60_000)]
            default:
                [head]
                    + Array(repeating: [.wait(milliseconds: 250), .send("a")], count: 5).joined()
            }
        } test: { server, client in
            var request = TransferRequest(server.address + "/silent")
            request.silenceTimeout = .seconds(1)
            #expect(try await code(client, request) == .timeout)
            request.address = server.address + "/mute"
            #expect(try await code(client, request) == .timeout)
            request.address = server.address + "/slow"
            let slow = try await client.send(request).body.collect(upTo: 5)
            #expect(slow.count == 5)
            request.totalTimeout = .milliseconds(300)
            #expect(try await code(client, request) == .timeout)
            #expect(await server.wait { $0.open <= 1 })
        }
    }

    @Test("a server that does not accept is a time-out of the connection")
    func connectTimeout() async throws {
        let client = TransferClient()
        // A documentation address, which no host has.
        var request = TransferRequest("http://192.0.2.1:9/")
        request.connectTimeout = .milliseconds(200)
        let error = await #expect(throws: TransferError.self) { try await client.send(request) }
        // A machine without a route says so at once.
        #expect(error?.code == .connectTimeout || error?.code == .connect)
        await client.shutDown()
    }
}
