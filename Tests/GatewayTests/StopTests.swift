// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Logging
import NIOCore
import Service
import Testing

/// What clients receive that still wait when the service stops.
@Suite("Stopping", .timeLimit(.minutes(5)))
struct StopTests {
    private let generator: FakeGenerator
    private let temporary: TemporaryStore
    private let gateway: Gateway

    /// A gateway whose requests hang, and which sends something while they do.
    init() throws {
        generator = try FakeGenerator(.hang)
        temporary = try TemporaryStore()
        var configuration = GatewayConfiguration(version: "1")
        configuration.keepAliveInterval = .milliseconds(20)
        gateway = Gateway(
            generator: generator, store: temporary.store, configuration: configuration,
            telemetry: ServiceTelemetry(version: "1"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Opens a stream, stops the gateway when the stream is open, and returns all of its text.
    private func stream(
        _ method: String, _ path: String, _ body: String = "", on client: TestClient
    ) async throws -> String {
        let (opened, open) = AsyncStream<Void>.makeStream()
        let stopping = Task {
            for await _ in opened { break }
            await gateway.stop()
        }
        let request =
            "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        let text = try await rawExchange(port: client.port, ByteBuffer(string: request)) { text in
            if text.contains(": keep-alive") || text.contains("heartbeat") { open.yield() }
        }
        await stopping.value
        return text
    }

    /// The last event of a stream's text.
    private func last(_ text: String) throws -> (name: String, data: String) {
        let lines = text.split(whereSeparator: \.isNewline)
        let name = try #require(lines.last { $0.hasPrefix("event: ") }).dropFirst(7)
        let data = try #require(lines.last { $0.hasPrefix("data: ") }).dropFirst(6)
        return (String(name), String(data))
    }

    @Test(
        "a call that waits is answered with 503 and a time to wait",
        arguments: ["/v1/images/generations", "/sdapi/v1/txt2img"])
    func calls(path: String) async throws {
        try await gateway.test { client in
            async let sent = client.post(path, #"{"prompt": "p"}"#)
            for await _ in generator.beginnings { break }
            await gateway.stop()
            let answer = try await sent
            #expect(answer.status == .serviceUnavailable)
            let error = try answer.error()
            #expect(error["code"] == "server_stopping")
            #expect(error["message"]?.contains("send it again") == true)
            #expect(Int(answer.headers[.retryAfter] ?? "").map { $0 >= 1 } == true)
            let job = try await temporary.store.jobs(JobQuery(.all)).first
            #expect(job?.state == .cancelled && job?.failureCode == .serverStopped)
        }
    }

    @Test("a stream of the OpenAI dialect ends with an error")
    func openAI() async throws {
        try await gateway.test { client in
            let text = try await stream(
                "POST", "/v1/images/generations", #"{"prompt": "p", "stream": true}"#, on: client)
            let (name, data) = try last(text)
            #expect(name == "error")
            #expect(data.contains(#""code":"server_stopping""#))
        }
    }

    @Test("the events of a job end with an error, and the job waits for the next start")
    func job() async throws {
        try await gateway.test { client in
            let job = try await client.post("/api/jobs", #"{"prompt": "p"}"#).object()
            let id = try #require(job["id"] as? String)
            let (name, data) = try last(
                try await stream("GET", "/api/jobs/\(id)/events", on: client))
            #expect(name == "error")
            #expect(data.contains(#""code":"server_stopping""#))
            #expect(try await temporary.store.jobs(JobQuery(.all)).map(\.state) == [.queued])
        }
    }

    @Test("a run in Gradio's queue fails, and the stream is closed")
    func gradioQueue() async throws {
        try await gateway.test { client in
            _ = try await client.post(
                "/gradio_api/queue/join",
                #"{"data": ["a cat", "", 5, 32, 16, 3, 0, 1], "session_hash": "s"}"#)
            let text = try await stream(
                "GET", "/gradio_api/queue/data?session_hash=s", on: client)
            let lines = text.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("data: ") }
            #expect(lines.last?.contains("close_stream") == true)
            let done = try #require(lines.first { $0.contains("process_completed") })
            #expect(done.contains(#""success":false"#) && done.contains("The server stopped"))
        }
    }

    @Test("a call of Gradio's interface for curl ends with an error")
    func gradioCall() async throws {
        try await gateway.test { client in
            let call = try await client.post("/gradio_api/call/generate", #"{"data": ["a cat"]}"#)
            let id = try #require(try call.object()["event_id"] as? String)
            let (name, data) = try last(
                try await stream("GET", "/gradio_api/call/generate/\(id)", on: client))
            #expect(name == "error" && data.contains("The server stopped"))
        }
    }
}
