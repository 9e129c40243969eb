// Part of Inkstone. Licence: see LICENSE.

import Gateway
import HTTPTypes
import Hummingbird
import NIOCore
import Testing

@Suite struct OriginTests {
    private let path = "/v1/images/generations"

    @Test("a page of another program on this machine may use the API, and read its errors")
    func localPages() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let origin: HTTPFields = [.origin: "http://localhost:3000"]
            for body in [#"{"prompt": "p"}"#, "{"] {
                let response = try await client.post(path, body, headers: origin)
                #expect(response.headers[.accessControlAllowOrigin] == "http://localhost:3000")
                #expect(response.headers[.vary] == "Origin")
            }
            let preflight = try await client.execute(
                uri: path, method: .options,
                headers: [
                    .origin: "http://localhost:3000", .accessControlRequestMethod: "POST",
                    .accessControlRequestHeaders: "authorization, x-stainless-lang",
                ])
            #expect(preflight.status == .noContent)
            #expect(
                preflight.headers[.accessControlAllowHeaders] == "authorization, x-stainless-lang")
            let page = try await client.post("/api/jobs", #"{"prompt": "p"}"#, headers: origin)
            #expect(page.status == .forbidden, "the page's own interface is for the page only")
        }
    }

    @Test(
        "pages of other origins are refused",
        arguments: ["http://evil.example", "null", "https://localhost.evil.example"])
    func strangers(origin: String) async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            for path in [path, "/api/jobs"] {
                let response = try await client.post(
                    path, #"{"prompt": "p"}"#, headers: [.origin: origin])
                #expect(response.status == .forbidden)
                #expect(try response.error()["code"] == "origin_not_allowed")
            }
            let read = try await client.get("/v1/models", headers: [.origin: origin])
            #expect(read.headers[.accessControlAllowOrigin] == nil)
            let preflight = try await client.execute(
                uri: path, method: .options, headers: [.origin: origin])
            #expect(preflight.status == .forbidden)
        }
        #expect(generator.requests.isEmpty)
    }

    @Test("our own page is served, also behind a proxy that changes the host")
    func ownPage() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let own = try await client.post(
                "/api/jobs", #"{"prompt": "p"}"#, headers: [.origin: "http://localhost"])
            #expect(own.status == .accepted)
            let proxied = try await client.post(
                "/api/jobs", #"{"prompt": "p"}"#,
                headers: [
                    .origin: "https://images.example", try .named("sec-fetch-site"): "same-origin",
                ])
            #expect(proxied.status == .accepted)
        }
        try await withGateway(
            try FakeGenerator(),
            configure: { $0.allowedOrigins = ["https://images.example"] }
        ) { client in
            let listed = try await client.post(
                path, #"{"prompt": "p"}"#, headers: [.origin: "https://images.example"])
            #expect(listed.headers[.accessControlAllowOrigin] == "https://images.example")
        }
    }

    @Test("a loopback listener answers to loopback names and to those that are allowed")
    func hosts() async throws {
        let generator = try FakeGenerator()
        try await withGateway(
            generator, configure: { $0.allowedHosts = ["images.example"] }
        ) { client in
            let port = client.port
            for (host, status) in [
                ("127.0.0.1:\(port)", 200), ("localhost:\(port)", 200), ("[::1]:\(port)", 200),
                ("images.example", 200), ("LOCALHOST.", 200), ("evil.example", 403),
                ("127.0.0.1.evil.example", 403), ("127.0.0.1:x", 403), ("0.0.0.0", 403),
            ] {
                let answer = try await rawExchange(
                    port: port, "GET /health HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"
                )
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(host)")
            }
        }
    }
}
