// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Gateway
import HTTPTypes
import NIOCore
import Testing

/// Connections that begin in another protocol than HTTP/1.1.
@Suite("Versions of HTTP", .timeLimit(.minutes(5)))
struct HTTPVersionTests {
    private static let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    /// A frame of HTTP/2.
    private static func frame(_ type: UInt8, _ stream: UInt8, _ payload: [UInt8] = []) -> [UInt8] {
        [0, 0, UInt8(payload.count), type, 0, 0, 0, 0, stream] + payload
    }

    @Test(
        "a client of HTTP/2 gets its answer in HTTP/2, on the stream of its request",
        arguments: [
            frame(4, 0) + frame(1, 1, [0x82]), frame(1, 3),
            frame(4, 0, [0, 3, 0, 0, 0, 100]) + frame(8, 0, [0, 0, 1, 0]) + frame(2, 0)
                + frame(1, 7, [0x83]) + frame(0, 7, [65]),
        ])
    func http2(frames: [UInt8]) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let request = ByteBuffer(bytes: Array(Self.preface.utf8) + frames)
            let answer = try await rawExchange(port: client.port, request) { _ in }
            let bytes = Array(answer.utf8)
            // Two frames of settings come first; a decoder would otherwise refuse the answer.
            #expect(
                bytes.prefix(18) == [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0][...])
            #expect(answer.contains("505"))
            #expect(answer.contains("\"code\":\"http_version_not_supported\""))
            #expect(answer.contains("use HTTP/1.1"))
            #expect(try await client.get("/livez").status.code == 200)
        }
    }

    @Test("requests of HTTP/1 that begin like the preface are answered as ever")
    func lookalikes() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for (request, status) in [
                ("P", "400"), ("PRI * HTTP/1.1\r\nHost: localhost\r\n\r\n", ""),
                ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", ""),
                ("POST /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "405"),
                ("PUT /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "405"),
            ] {
                for piece in [request.utf8.count, 1] {
                    let answer = try await rawExchange(
                        port: client.port, request, piece: piece)
                    #expect(answer.hasPrefix("HTTP/1.1 \(status)"), "\(request): \(answer)")
                }
            }
        }
    }

    @Test("TLS is named")
    func tls() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let hello: [UInt8] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]
            let answer = try await rawExchange(port: client.port, ByteBuffer(bytes: hello)) { _ in }
            #expect(answer.contains("tls_not_supported"))
        }
    }

    @Test("HTTP/1.0 gets whole answers, with and without a host")
    func http10() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for host in ["", "Host: localhost\r\n"] {
                let body = #"{"prompt": "p"}"#
                let answer = try await rawExchange(
                    port: client.port,
                    "POST /v1/images/generations HTTP/1.0\r\n\(host)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
                )
                #expect(answer.hasPrefix("HTTP/1.0 200"))
                #expect(answer.contains("/v1/images/files/"))
                #expect(!answer.lowercased().contains("transfer-encoding"))
            }
        }
    }
}
