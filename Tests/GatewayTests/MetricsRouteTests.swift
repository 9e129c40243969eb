// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(5))) struct MetricsRouteTests {
    private let path = "/v1/images/generations"

    /// Labels of a request for images in the counter of requests.
    private func counted(_ status: Int, _ code: String) -> String {
        #"inkstone_requests_total{route="\#(path)",method="POST",status="\#(status)",code="\#(code)"}"#
    }

    @Test("metrics are Prometheus text, or OpenMetrics on request")
    func formats() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let plain = try await client.get("/metrics")
            #expect(plain.status == .ok)
            #expect(plain.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
            #expect(plain.text.hasSuffix("\n") && !plain.text.contains("# EOF"))
            #expect(plain.text.contains(#"inkstone_build_info{version="1.2.3"} 1.0"#))
            let open = try await client.get(
                "/metrics", headers: [.accept: "application/openmetrics-text; version=1.0.0"])
            #expect(
                open.headers[.contentType]
                    == "application/openmetrics-text; version=1.0.0; charset=utf-8")
            #expect(open.text.hasSuffix("# EOF\n"))
        }
    }

    @Test("answers are counted by route, status and code, streamed or not")
    func counts() async throws {
        try await withGateway(try FakeGenerator()) { client in
            _ = try await client.post(path, #"{"prompt": "p"}"#)
            _ = try await client.post(path, #"{"prompt": "p", "n": 2, "stream": true}"#)
            _ = try await client.post(path, #"{"prompt": "p", "n": 0}"#)
            _ = try await client.post("/nothing/\(UInt64.random(in: 0...9))", "{}")
            _ = try await client.get("/v1/models/maker/none")
            let metrics = try await client.metrics()
            #expect(metrics[counted(200, "ok")] == 2)
            #expect(metrics[counted(400, "invalid_value")] == 1)
            #expect(
                metrics[
                    #"inkstone_requests_total{route="none",method="POST",status="404",code="not_found"}"#
                ] == 1)
            #expect(
                metrics[
                    #"inkstone_requests_total{route="/v1/models/**",method="GET",status="404",code="model_not_found"}"#
                ] == 1)
            let labels = #"{route="\#(path)",model="tiny",status="200"}"#
            #expect(metrics["inkstone_request_duration_seconds_count" + labels] == 2)
            #expect(metrics["inkstone_request_duration_seconds_sum" + labels] > 0)
            #expect(
                metrics.total("inkstone_request_duration_seconds_count")
                    == metrics.total("inkstone_requests_total"))
            #expect(metrics[#"inkstone_images_total{model="tiny"}"#] == 3)
            #expect(metrics[#"inkstone_pixels_total{model="tiny"}"#] == 3 * 512)
            #expect(metrics[#"inkstone_generations_total{model="tiny",outcome="ok"}"#] == 2)
            #expect(metrics["inkstone_requests_in_flight"] == 0)
        }
    }

    @Test("no name that a client chooses is a label, and no text of a request is a metric")
    func chosenNames() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for body in [
                #"{"prompt": "chosen"}"#, #"{"prompt": "p", "model": "chosen"}"#,
                #"{"prompt": "p", "loras": ["chosen"]}"#, #"{"prompt": "p", "chosen": "chosen"}"#,
            ] {
                _ = try await client.post(path, body, headers: [.userAgent: "chosen"])
            }
            for path in ["/chosen?chosen=1", "/v1/models/chosen", "/api/jobs/chosen"] {
                _ = try await client.get(path)
            }
            for method in ["TRACE", "CHOSEN"] {
                _ = try await rawExchange(
                    port: client.port, rawRequest("\(method) /livez", ["Connection: close"]))
            }
            let text = try await client.get("/metrics").text
            #expect(text.contains(#"route="none",method="GET""#))
            for name in ["chosen", "TRACE", "CHOSEN"] {
                #expect(!text.contains(name), "\(name)")
            }
        }
    }

    @Test("failures are counted once, before and within a stream", arguments: [false, true])
    func failures(isStreamed: Bool) async throws {
        let generator = try FakeGenerator(.fail(GenerationError(.numeric, "broke")))
        try await withGateway(generator) { client in
            _ = try await client.post(path, #"{"prompt": "p", "stream": \#(isStreamed)}"#)
            let metrics = try await client.metrics()
            #expect(metrics[counted(isStreamed ? 200 : 500, "numeric_failure")] == 1)
            #expect(metrics.total("inkstone_request_duration_seconds_count") == 1)
            #expect(metrics[#"inkstone_generations_total{model="tiny",outcome="numeric"}"#] == 1)
            #expect(metrics["inkstone_requests_in_flight"] == 0)
            #expect(metrics["inkstone_requests_running"] == 0)
        }
    }

    @Test(
        "a client that disconnects is counted once, and nothing stays in flight",
        arguments: [false, true])
    func disconnect(isStreamed: Bool) async throws {
        let generator = try FakeGenerator(.hang)
        try await withGateway(generator) { client in
            let port = client.port
            let body = #"{"prompt": "p", "stream": \#(isStreamed)}"#
            try await hangUp(
                port: port,
                after: "POST \(path) HTTP/1.1\r\nHost: localhost\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)",
                when: generator.beginnings)
            let status = isStreamed ? 200 : 499
            let metrics = try await client.metrics { $0["inkstone_requests_in_flight"] == 0 }
            #expect(metrics[counted(status, "request_cancelled")] == 1)
            let labels = #"{route="\#(path)",model="tiny",status="\#(status)"}"#
            #expect(metrics["inkstone_request_duration_seconds_count" + labels] == 1)
            let ended = try await client.metrics { $0["inkstone_requests_running"] == 0 }
            #expect(ended[#"inkstone_requests_cancelled_total{phase="running"}"#] == 1)
            #expect(
                ended[#"inkstone_generations_total{model="tiny",outcome="cancelled"}"#] == 1)
        }
    }

    @Test("requests of monitoring are not in flight, all others are")
    func inFlight() async throws {
        let generator = try FakeGenerator(.hang)
        try await withGateway(generator) { client in
            let port = client.port
            #expect(try await client.metrics()["inkstone_requests_in_flight"] == 0)
            let body = #"{"prompt": "p"}"#
            let (asked, asking) = AsyncStream<Void>.makeStream()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await hangUp(
                        port: port,
                        after: "POST \(path) HTTP/1.1\r\nHost: localhost\r\n"
                            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)", when: asked)
                }
                for await _ in generator.beginnings { break }
                #expect(try await client.metrics()["inkstone_requests_in_flight"] == 1)
                let busy = try await client.metrics { $0["inkstone_requests_running"] == 1 }
                #expect(busy["inkstone_requests_in_flight"] == 1)
                asking.yield()
                try await group.waitForAll()
            }
            _ = try await client.metrics { $0["inkstone_requests_in_flight"] == 0 }
        }
    }
}
