// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Logging
import NIOCore
import Service
import Synchronization
import Telemetry
import Testing

/// Lines of the access log for each way in which a request can end.
@Suite(.timeLimit(.minutes(5))) final class AccessLogTests: Sendable {
    private let path = "/v1/images/generations"
    private let file = FileManager.default.temporaryDirectory.appending(
        path: "inkstone-access-\(UUID().uuidString).log"
    ).path

    deinit { try? FileManager.default.removeItem(atPath: file) }

    /// The lines so far.
    private func lines() throws -> [String] {
        try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    /// The lines, as soon as there are `count`.
    private func lines(count: Int) async throws -> [String] {
        while try lines().count < count { try await Task.sleep(for: .milliseconds(10)) }
        return try lines()
    }

    /// The value of a pair in a line.
    private func pair(_ name: String, in line: String) -> String {
        line.split(separator: " ").first { $0.hasPrefix(name + "=") }
            .map { String($0.dropFirst(name.count + 1)) } ?? ""
    }

    private func run(
        _ generator: FakeGenerator, test: @Sendable (TestClient) async throws -> Void
    ) async throws {
        let telemetry = ServiceTelemetry(version: "1.2.3", accessLog: try AccessLog(path: file))
        try await withGateway(generator, telemetry: telemetry, test: test)
    }

    @Test("a line has nginx's fields, the id and the durations of the stages")
    func success() async throws {
        let id = try HTTPField.Name.named("x-request-id")
        for (body, name) in [
            (#"{"prompt": "private", "n": 2, "size": "64x32"}"#, "one"),
            (#"{"prompt": "private", "stream": true}"#, "two"),
        ] {
            // The answer closes the connection, so each has a client of its own.
            try await run(try FakeGenerator()) { client in
                let response = try await client.post(
                    path + "?q=private", body,
                    headers: [
                        id: name, .userAgent: "test \"1\"", .referer: "http://x/y?private=1",
                    ])
                let line = try #require(try await lines(count: name == "one" ? 1 : 2).last)
                #expect(line.contains(#" "POST \#(path) HTTP/1.1" 200 "#))
                #expect(line.contains(#" 200 \#(response.body.readableBytes) "http://x/y" "#))
                #expect(line.contains(#" "test \x221\x22" "#))
                #expect(
                    line.wholeMatch(
                        of: /127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:[\d:]{8} \+0000\] .*/) != nil)
                #expect(pair("id", in: line) == name && pair("code", in: line) == "ok")
                #expect(pair("model", in: line) == "tiny" && pair("steps", in: line) == "4")
                let seconds = try ["rt", "urt", "q", "run"].map {
                    let text = pair($0, in: line)
                    #expect(text.wholeMatch(of: /\d+\.\d{3}/) != nil, "\($0) in \(line)")
                    return try #require(Double(text))
                }
                #expect(seconds[0] >= seconds[1], "the engine's time is part of the request's")
                #expect(abs(seconds[1] - seconds[2] - seconds[3]) < 0.002)
            }
        }
        let all = try lines()
        #expect(all.count == 2)
        #expect(pair("n", in: all[0]) == "2" && pair("size", in: all[0]) == "64x32")
        #expect(!all.joined().contains("private"))
    }

    @Test("refusals and failures have a line with their code")
    func failures() async throws {
        let generator = try FakeGenerator(.fail(GenerationError(.numeric, "broke")))
        try await run(generator) { client in
            _ = try await client.post(path, #"{"prompt": "p", "n": 99}"#)
            _ = try await client.post(path, #"{"prompt": "p"}"#)
            _ = try await client.post(path, #"{"prompt": "p", "stream": true}"#)
            _ = try await client.get("/nothing")
            _ = try await client.execute(
                uri: path, method: .post, headers: [.origin: "https://evil.example"])
        }
        let lines = try lines()
        #expect(
            lines.map { pair("code", in: $0) } == [
                "invalid_value", "numeric_failure", "numeric_failure", "not_found",
                "origin_not_allowed",
            ])
        for (line, status) in zip(lines, [400, 500, 200, 404, 403]) {
            #expect(line.contains("HTTP/1.1\" \(status) "), "\(line)")
        }
    }

    @Test("a client that disconnects has a line, streamed or not", arguments: [false, true])
    func disconnect(isStreamed: Bool) async throws {
        let generator = try FakeGenerator(.hang)
        try await run(generator) { client in
            let port = client.port
            let body = #"{"prompt": "p", "stream": \#(isStreamed)}"#
            try await hangUp(
                port: port,
                after: "POST \(path) HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: gone\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)",
                when: generator.beginnings)
            let line = try #require(try await lines(count: 1).first)
            #expect(line.contains("HTTP/1.1\" \(isStreamed ? 200 : 499) "), "\(line)")
            #expect(pair("code", in: line) == "request_cancelled")
            #expect(pair("id", in: line) == "gone")
            #expect(Double(pair("rt", in: line)) != nil && pair("q", in: line) != "-")
        }
        #expect(try lines().count == 1, "one line for one request")
    }

    @Test("every answer has the request's id and trace: images, streams, errors, refusals")
    func identity() async throws {
        let (id, trace) = (
            try HTTPField.Name.named("x-request-id"), try HTTPField.Name.named("traceparent")
        )
        let traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
        let headers: HTTPFields = [id: "mine", trace: "00-\(traceID)-00f067aa0ba902b7-01"]
        try await run(try FakeGenerator()) { client in
            var foreign = headers
            foreign[.origin] = "https://evil.example"
            let answers = [
                try await client.post(path, #"{"prompt": "p"}"#, headers: headers),
                try await client.post(path, #"{"prompt": "p", "stream": true}"#, headers: headers),
                try await client.post(path, "{", headers: headers),
                try await client.get("/nothing", headers: headers),
                try await client.post(path, "{}", headers: foreign),
            ]
            for answer in answers {
                #expect(answer.headers[id] == "mine")
                let own = try #require(answer.headers[trace])
                #expect(own.hasPrefix("00-\(traceID)-") && own.hasSuffix("-01"))
                #expect(own != headers[trace])
            }
            let plain = try await client.get("/livez")
            #expect(plain.headers[trace] == nil && plain.headers[id]?.isEmpty == false)
            let malformed = try await client.get("/livez", headers: [trace: "00-zz"])
            #expect(malformed.headers[trace]?.count == 55)
        }
        let lines = try lines()
        #expect(lines.prefix(5).allSatisfy { pair("trace", in: $0) == traceID })
        #expect(pair("trace", in: lines[5]) == "-")
    }

    @Test("the trace is in the program's log, too")
    func traceInLog() async throws {
        let logs = LogRecorder()
        let generator = try FakeGenerator(.fail(GenerationError(.numeric, "broke")))
        try await withGateway(generator, logs: logs) { client in
            _ = try await client.post(
                path, #"{"prompt": "p"}"#,
                headers: [
                    try .named("traceparent"):
                        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
                ])
        }
        let failed = try #require(
            logs.lines.all.withLock { $0.first { $0.message == "request failed" } })
        #expect(failed.metadata["trace.id"] == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(failed.metadata["parent.id"] == "00f067aa0ba902b7")
        #expect("\(failed.metadata["span.id"] ?? "")".count == 16)
        #expect(logs.requests.first?["trace.id"] == "4bf92f3577b34da6a3ce929d0e0e4736")
    }
}
