// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Logging
import NIOCore
import Service
import Testing

/// HTTP itself: expectations, old versions, malformed requests, methods.
@Suite("HTTP", .timeLimit(.minutes(5)))
struct HTTPTests {
    private let path = "/v1/images/generations"
    private let body = #"{"prompt": "p", "response_format": "b64_json"}"#

    /// The code of an error body.
    private func code(_ body: String) throws -> String {
        let json = try JSONSerialization.jsonObject(with: Data(body.utf8))
        let error = try #require((json as? [String: Any])?["error"] as? [String: Any])
        #expect((json as? [String: Any])?["detail"] as? String == error["message"] as? String)
        return error["code"] as? String ?? ""
    }

    // MARK: - Expect

    @Test("a client that waits for 100 Continue gets it when its body is wanted")
    func expectation() async throws {
        try await withGateway(try FakeGenerator()) { client in
            try await withConnection(port: client.port) { connection in
                try await connection.send(
                    "POST \(path) HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                        + "Content-Length: \(body.utf8.count)\r\n\r\n")
                #expect(
                    try await connection.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue")
                try await connection.send(body)
                #expect(try await connection.readAnswer().head.hasPrefix("HTTP/1.1 200 OK"))
                try await connection.send(rawRequest("GET /livez"))
                #expect(try await connection.readAnswer().body.contains("ok"))
            }
        }
    }

    @Test(
        "a client that waits for 100 Continue gets the refusal at once",
        arguments: [
            ("/v1/images/generations", "Content-Length: 99999999", 413),
            ("/v1/images/edits", "Content-Length: 1000\r\nContent-Type: text/plain", 415),
            ("/api/jobs", "Content-Length: \((64 << 20) + 1)", 413),
            ("/nothing", "Content-Length: 1000", 404),
            ("/livez", "Content-Length: 1000", 405),
            ("/v1/images/generations", "Content-Length: 10\r\nOrigin: http://evil.example", 403),
        ])
    func refusedExpectation(path: String, headers: String, status: Int) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await rawExchange(
                port: client.port,
                "POST \(path) HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\(headers)\r\n\r\n"
            )
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
            #expect(answer.lowercased().contains("connection: close"))
        }
    }

    @Test("without a key the refusal comes before the body")
    func expectationWithoutKey() async throws {
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        _ = try keys.add("ann", scope: .generate)
        try await withGateway(try FakeGenerator(), keys: keys) { client in
            let answer = try await rawExchange(
                port: client.port,
                "POST \(path) HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                    + "Content-Length: 10\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 401 "))
        }
    }

    // MARK: - HTTP/1.0

    @Test(
        "a client of HTTP/1.0 gets no chunks and a closed connection",
        arguments: [#"{"prompt": "p", "stream": true}"#, #"{"prompt": "p"}"#])
    func oldVersion(body: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            for field in ["", "Connection: keep-alive\r\n"] {
                let answer = try await rawExchange(
                    port: client.port,
                    "POST \(path) HTTP/1.0\r\n\(field)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
                )
                #expect(answer.hasPrefix("HTTP/1.0 200 OK\r\n"))
                let head = answer.components(separatedBy: "\r\n\r\n")[0].lowercased()
                #expect(!head.contains("transfer-encoding"))
                #expect(head.contains("connection: close"))
                #expect(answer.hasSuffix(body.contains("stream") ? "\n\n" : "}"))
            }
        }
    }

    // MARK: - Malformed requests

    @Test(
        "malformed requests get the error body and are recorded",
        arguments: [
            ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n", 400, "tls_not_supported"),
            ("GET\r\n\r\n", 400, "malformed_request"),
            ("GET /livez HTTP/1.1\r\nHost localhost\r\n\r\n", 400, "malformed_request"),
            ("GET /livez HTTP/1.1\r\n\r\n", 400, "malformed_request"),
            ("GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "malformed_request"),
            ("GET /\u{301} HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "malformed_request"),
            ("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 505, "http_version_not_supported"),
            ("BREW /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 501, "method_not_implemented"),
            ("get /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 501, "method_not_implemented"),
            (
                "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "
                    + String(repeating: "a", count: 90000) + "\r\n\r\n", 431,
                "request_header_too_large"
            ),
            (
                "GET /livez HTTP/1.1\r\nHost: localhost\r\n"
                    + String(repeating: "A: b\r\n", count: 20000) + "\r\n", 431,
                "request_header_too_large"
            ),
            (
                "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "
                    + String(repeating: "\u{301}\u{323}", count: 200) + "\r\n\r\n", 400,
                "malformed_request"
            ),
            (
                "POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400,
                "malformed_request"
            ),
            (
                "POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n", 400, "malformed_request"
            ),
        ])
    func malformed(request: String, status: Int, code: String) async throws {
        let logs = LogRecorder()
        try await withGateway(try FakeGenerator(), logs: logs) { client in
            let answer = try await rawExchange(port: client.port, request)
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
            let parts = answer.components(separatedBy: "\r\n\r\n")
            let head = parts[0].lowercased()
            #expect(head.contains("content-type: application/json"))
            #expect(head.contains("connection: close") && head.contains("x-request-id: req-"))
            #expect(try self.code(parts.dropFirst().joined(separator: "\r\n\r\n")) == code)
            let metrics = try await client.get("/metrics").text
            #expect(
                metrics.split(separator: "\n").contains {
                    $0.hasPrefix("inkstone_requests_total{") && $0.contains("status=\"\(status)\"")
                        && $0.contains("code=\"\(code)\"") && $0.hasSuffix(" 1.0")
                })
        }
        let line = try #require(logs.requests.first)
        #expect(line["http.code"]?.description == code)
        #expect(line["http.status"]?.description == "\(status)")
    }

    @Test("a body whose coding is damaged is refused by its route, once")
    func damagedBody() async throws {
        let logs = LogRecorder()
        try await withGateway(try FakeGenerator(), logs: logs) { client in
            let answer = try await rawExchange(
                port: client.port,
                "POST \(path) HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
            )
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
            #expect(answer.contains("invalid_body"))
            #expect(answer.components(separatedBy: "HTTP/1.1 ").count == 2, "\(answer)")
        }
        #expect(logs.requests.map { "\($0["http.code"] ?? "")" } == ["invalid_body"])
    }

    @Test("a client that asks for another protocol is answered, and can ask again")
    func upgrade() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await rawExchange(
                port: client.port,
                rawRequest(
                    "GET /livez",
                    ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"]))
            #expect(answer.hasPrefix("HTTP/1.1 200 OK"))
            #expect(answer.lowercased().contains("connection: close"))
        }
    }

    // MARK: - Methods

    @Test(
        "unknown methods are not implemented, known ones that a path lacks are not allowed",
        arguments: [
            ("PROPFIND /livez", 501, ""), ("LOCK /v1/models", 501, ""), ("PROPFIND /x", 501, ""),
            ("TRACE /livez", 405, "GET, HEAD, OPTIONS"), ("PUT /livez", 405, "GET, HEAD, OPTIONS"),
            ("PATCH /api/jobs", 405, "GET, HEAD, OPTIONS, POST"),
            ("CONNECT localhost:80", 405, "DELETE, GET, HEAD, OPTIONS, POST"),
            ("OPTIONS /livez", 204, "GET, HEAD, OPTIONS"),
            ("OPTIONS *", 204, "DELETE, GET, HEAD, OPTIONS, POST"),
            ("OPTIONS /api/jobs/x", 204, "DELETE, GET, HEAD, OPTIONS"), ("OPTIONS /x", 404, ""),
            ("TRACE /x", 404, ""),
        ])
    func methods(line: String, status: Int, allow: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await rawExchange(
                port: client.port, rawRequest(line, ["Connection: close"]))
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
            let field = answer.components(separatedBy: "\r\n").first {
                $0.lowercased().hasPrefix("allow:")
            }
            #expect(field.map { String($0.dropFirst("allow: ".count)) } ?? "" == allow)
        }
    }
}
