// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Logging
import NIOCore
import Synchronization
import Testing

@Suite struct ServiceRouteTests {
    @Test("models are listed and found by id, also with a slash")
    func models() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let list = try await client.get("/v1/models").object()
            #expect(list["object"] as? String == "list")
            let rows = try #require(list["data"] as? [[String: Any]])
            #expect(rows.map { $0["id"] as? String } == ["tiny", "maker/large"])
            for path in ["maker/large", "maker%2Flarge"] {
                let row = try await client.get("/v1/models/" + path).object()
                #expect(row["id"] as? String == "maker/large")
                #expect(row["object"] as? String == "model")
                #expect(row["created"] as? Int == 1_700_000_000)
                #expect(row["owned_by"] as? String == "inkstone")
            }
            let unknown = try await client.get("/v1/models/maker/none")
            #expect(unknown.status == .notFound)
            #expect(try unknown.error()["code"] == "model_not_found")
        }
    }

    @Test("health reports model, precision and kernels")
    func health() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for path in ["/readyz", "/health"] {
                let response = try await client.get(path)
                #expect(response.status == .ok)
                let report = try response.object()
                #expect(report["status"] as? String == "ok")
                #expect(report["model"] as? String == "tiny")
                #expect(report["precision"] as? String == "f32")
                #expect(report["kernels"] as? String == "portable")
                #expect((report["uptime_seconds"] as? Int).map { $0 >= 0 } == true)
            }
            #expect(try await client.get("/livez").status == .ok)
            #expect(try await client.get("/version").object()["version"] as? String == "1.2.3")
        }
    }

    @Test("until a model is loaded the service is live but not ready")
    func loading() async throws {
        try await withGateway(try FakeGenerator(isLoaded: false)) { client in
            #expect(try await client.get("/livez").status == .ok)
            let ready = try await client.get("/readyz")
            #expect(ready.status == .serviceUnavailable)
            #expect(ready.headers[.retryAfter] != nil)
            #expect(try ready.object()["status"] as? String == "loading")
            #expect(try await client.get("/api/models").text == "[]")
        }
    }

    @Test(
        "HEAD answers like GET, without a body",
        arguments: ["/", "/health", "/v1/models", "/assets/app.js", "/api/models"])
    func head(path: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let get = try await client.get(path)
            let head = try await client.execute(uri: path, method: .head)
            #expect(head.status == .ok)
            #expect(head.body.readableBytes == 0)
            let length = head.headers[.contentLength].flatMap(Int.init) ?? 0
            // The uptime in /health may gain a digit between the two.
            #expect(abs(length - get.body.readableBytes) <= (path == "/health" ? 2 : 0))
            #expect(head.headers[.contentType] == get.headers[.contentType])
        }
    }

    @Test("a client's request id is returned if it is valid, else a new one")
    func requestID() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let name = try HTTPField.Name.named("x-request-id")
            let own = try await client.get("/livez", headers: [name: "trace-7.b:c"])
            #expect(own.headers[name] == "trace-7.b:c")
            for id in ["a b", "\"x\"", String(repeating: "x", count: 129)] {
                let response = try await client.get("/livez", headers: [name: id])
                #expect(response.headers[name]?.hasPrefix("req-") == true)
            }
        }
    }

    @Test("every request has one line in the access log, without the prompt")
    func accessLog() async throws {
        let logs = LogRecorder()
        try await withGateway(try FakeGenerator(), logs: logs) { client in
            _ = try await client.post(
                "/v1/images/generations?secret=1", #"{"prompt": "private words"}"#,
                headers: [try .named("x-request-id"): "mine"])
            _ = try await client.post("/api/jobs", #"{"prompt": "private words"}"#)
            _ = try await client.get("/nothing")
        }
        let lines = logs.requests
        #expect(lines.map { "\($0["http.status"] ?? "")" } == ["200", "202", "404"])
        #expect(
            lines.map { "\($0["http.path"] ?? "")" } == [
                "/v1/images/generations", "/api/jobs", "/nothing",
            ])
        #expect(lines[0]["request.id"] == "mine" && lines[0]["http.method"] == "POST")
        #expect(lines.allSatisfy { Int("\($0["http.bytes"] ?? "")") ?? 0 > 100 })
        #expect(lines.allSatisfy { Double("\($0["request.seconds"] ?? "")") != nil })
        #expect(!"\(logs.lines.all.withLock { $0 })".contains("private"))
        #expect(!"\(logs.lines.all.withLock { $0 })".contains("secret"))
    }
}
