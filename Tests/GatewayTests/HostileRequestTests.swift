// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Gateway
import HTTPTypes
import Hummingbird
import NIOCore
import Testing

/// Bodies that no client should send, from a seeded generator; `Tests/operation/hostile.py` is the long form,
/// against a server of its own.
@Suite("Hostile requests", .timeLimit(.minutes(5)))
struct HostileRequestTests {
    private static let paths = [
        "/v1/images/generations", "/api/estimate", "/api/jobs", "/sdapi/v1/txt2img",
        "/sdapi/v1/img2img", "/sdapi/v1/options", "/sdapi/v1/png-info", "/v1/models",
        "/v1/images/edits", "/gradio_api/queue/join", "/gradio_api/call/generate",
    ]
    private static let fields = [
        "prompt", "negative_prompt", "n", "size", "width", "height", "steps", "seed", "model",
        "guidance_scale", "cfg_scale", "response_format", "output_format", "output_compression",
        "stream", "partial_images", "kwargs", "deadline", "init_images", "denoising_strength",
        "mask", "data", "session_hash", "model_name", "model_path", "image", "request_id",
    ]
    private static let values = [
        "null", "true", "-1", "0", "9223372036854775808", "1e400", "-1e-320", "0.5", "\"\"",
        "\"\\u0000\"", "\"\\ud800\"", "\"../../etc/passwd\"", "\"64x\"", "\"-64x64\"", "\"0x0\"",
        "\"99999999999x64\"", "[]", "[[[]]]", "{}", "{\"a\": {}}", "[\"a\", \"b\"]",
        "\"data:image/png;base64,AAAA\"", "\"iVBORw0KGgo=\"", "\"{\"", "NaN", "tru", "\"",
        "\"\(String(repeating: "x", count: 40000))\"", String(repeating: "[", count: 5000),
    ]

    @Test("no request causes a server error, and a valid one still works")
    func storm() async throws {
        var random = SeededGenerator(state: 1)
        var requests: [(path: String, body: String)] = []
        for _ in 0..<300 {
            var pairs = ["\"prompt\": \"a cat\""]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let field = Self.fields.randomElement(using: &random) ?? ""
                let value = Self.values.randomElement(using: &random) ?? ""
                pairs.append("\"\(field)\": \(value)")
            }
            var body = "{\(pairs.joined(separator: ", "))}"
            if Int.random(in: 0..<5, using: &random) == 0 {
                body = String(body.prefix(Int.random(in: 0..<body.count, using: &random)))
            }
            requests.append((Self.paths.randomElement(using: &random) ?? "/", body))
        }
        let all = requests
        try await withGateway(try FakeGenerator()) { client in
            var refused = 0
            for (path, body) in all {
                let answer = try await client.post(path, body)
                #expect(
                    answer.status.code < 500 || answer.status == .serviceUnavailable,
                    "\(answer.status) for \(path) \(body.prefix(200))")
                if answer.status.code >= 400 { refused += 1 }
            }
            // A generator that only makes good requests would prove nothing.
            #expect(refused > 150)
            let good = try await client.post("/v1/images/generations", #"{"prompt": "a cat"}"#)
            #expect(good.status == .ok)
        }
    }

    @Test("a request that is never completed ends with its connection")
    func slowSender() async throws {
        try await withGateway(
            try FakeGenerator(), configure: { $0.readTimeout = .milliseconds(300) }
        ) { client in
            let port = client.port
            for start in [
                "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{",
                "GET /livez HTTP/1.1\r\nHost: loc",
            ] {
                let begin = ContinuousClock.now
                _ = try await rawExchange(port: port, start)
                #expect(ContinuousClock.now - begin < .seconds(20))
            }
            let whole = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            #expect(try await rawExchange(port: port, whole).hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test("a connection without a request is closed, one whose request is in progress is not")
    func idleConnection() async throws {
        let generator = try FakeGenerator(.pause)
        try await withGateway(generator, configure: { $0.idleTimeout = .seconds(4) }) { client in
            try await withConnection(port: client.port) { connection in
                try await connection.send(
                    rawRequest("POST /v1/images/generations", body: #"{"prompt": "p"}"#))
                for await _ in generator.beginnings { break }
                try await Task.sleep(for: .seconds(5))
                generator.resume()
                #expect(try await connection.readAnswer().head.hasPrefix("HTTP/1.1 200 OK"))
                #expect(try await connection.readToEnd() == "")
            }
        }
    }
}
