// Part of Inkstone. Licence: see LICENSE.

import Engine
import Gateway
import HTTPTypes
import Logging
import Service
import Testing

/// When `/readyz` is 503, and what clients are answered then.
@Suite(.timeLimit(.minutes(1))) struct ReadinessTests {
    private let path = "/v1/images/generations"

    @Test("not while no model is loaded")
    func loading() async throws {
        try await withGateway(try FakeGenerator(isLoaded: false)) { client in
            for path in ["/readyz", "/health"] {
                let response = try await client.get(path)
                #expect(response.status == .serviceUnavailable)
                let report = try response.object()
                #expect(report["status"] as? String == "loading")
                #expect(report["reasons"] as? [String] == ["loading"])
                #expect(Int(response.headers[.retryAfter] ?? "").map { $0 >= 1 } == true)
            }
            #expect(try await client.get("/livez").status == .ok)
        }
    }

    @Test("not while the engine is full, and again when a client has disconnected")
    func full() async throws {
        let generator = try FakeGenerator(.hang)
        try await withGateway(generator, configure: { $0.capacity = 1 }) { client in
            let port = client.port
            #expect(try await client.get("/readyz").object()["capacity"] as? Int == 1)
            let (asked, asking) = AsyncStream<Void>.makeStream()
            try await withThrowingTaskGroup(of: Void.self) { group in
                let body = #"{"prompt": "p"}"#
                group.addTask {
                    try await hangUp(
                        port: port,
                        after: "POST \(path) HTTP/1.1\r\nHost: localhost\r\n"
                            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)", when: asked)
                }
                for await _ in generator.beginnings { break }
                while try await client.get("/readyz").status == .ok {}
                let report = try await client.get("/health").object()
                #expect(report["reasons"] as? [String] == ["queue_full"])
                #expect(report["running"] as? Int == 1 && report["queue_depth"] as? Int == 0)
                asking.yield()
                try await group.waitForAll()
            }
            while try await client.get("/readyz").status != .ok {}
        }
    }

    @Test("not while the service drains: requests in progress continue, new ones are refused")
    func draining() async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let temporary = try TemporaryStore()
        let gateway = Gateway(
            generator: try FakeGenerator(), store: temporary.store,
            configuration: GatewayConfiguration(version: "1"),
            telemetry: ServiceTelemetry(version: "1"), logger: logger)
        try await gateway.test { client in
            #expect(try await client.get("/readyz").status == .ok)
            gateway.beginDraining()
            let ready = try await client.get("/readyz")
            #expect(ready.status == .serviceUnavailable)
            #expect(try ready.object()["reasons"] as? [String] == ["draining"])
            for target in [path, "/api/jobs"] {
                let refused = try await client.post(target, #"{"prompt": "p"}"#)
                #expect(refused.status == .serviceUnavailable)
                #expect(try refused.error()["code"] == "server_draining")
                #expect(Int(refused.headers[.retryAfter] ?? "").map { $0 >= 1 } == true)
                #expect(refused.headers[try .named("x-should-retry")] == nil)
            }
            #expect(try await client.get("/livez").status == .ok)
            #expect(try await client.get("/metrics").status == .ok)
        }
    }
}
