// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Gateway
import HTTPTypes
import Hummingbird
import NIOCore
import Service
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
            for path in ["/api/jobs", "//api/jobs", "/api//jobs"] {
                let page = try await client.post(path, #"{"prompt": "p"}"#, headers: origin)
                #expect(page.status == .forbidden, "the page's own interface is for the page only")
            }
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
            let origin: HTTPFields = [.origin: "https://images.example"]
            let listed = try await client.post(path, #"{"prompt": "p"}"#, headers: origin)
            #expect(listed.headers[.accessControlAllowOrigin] == "https://images.example")
        }
    }

    @Test(
        "a named origin may use every route, also the page's interface",
        arguments: [["http://localhost:3000"], ["https://images.example"], ["*"]])
    func namedOrigins(origins: [String]) async throws {
        try await withGateway(
            try FakeGenerator(), configure: { $0.allowedOrigins = origins }
        ) { client in
            let name = origins[0] == "*" ? "https://any.example" : origins[0]
            let origin: HTTPFields = [.origin: name]
            let job = try await client.post("/api/jobs", #"{"prompt": "p"}"#, headers: origin)
            #expect(job.status == .accepted)
            #expect(job.headers[.accessControlAllowOrigin] == name)
            let location = try #require(job.headers[.location])
            let preflight = try await client.execute(
                uri: location, method: .options,
                headers: [.origin: name, .accessControlRequestMethod: "DELETE"])
            #expect(preflight.status == .noContent)
            #expect(preflight.headers[.accessControlAllowMethods]?.contains("DELETE") == true)
            let removal = try await client.execute(
                uri: location + "none", method: .delete, headers: origin)
            #expect(removal.status == .notFound)
            #expect(removal.headers[.accessControlAllowOrigin] == name)
        }
    }

    /// The status of `/health` for each host.
    private func statuses(_ hosts: [String], _ client: TestClient) async throws -> [String: Int] {
        var found: [String: Int] = [:]
        for host in hosts {
            let answer = try await rawExchange(
                port: client.port,
                "GET /health HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
            found[host] = Int(answer.dropFirst("HTTP/1.1 ".count).prefix(3)) ?? 0
        }
        return found
    }

    private static let addresses = [
        "127.0.0.1:9997", "localhost:9997", "[::1]:9997", "LOCALHOST.", "page.localhost",
        "192.168.1.5", "10.0.0.7:9997", "[fe80::1]:9997", "[2001:db8::7]",
    ]
    private static let foreign = [
        "evil.example", "127.0.0.1.evil.example", "127.0.0.1:x", "192.168.1", "1.2.3.4.5",
        "localhost.evil.example", "0.0.0.0.evil.example", "256.1.1.1", "a b", "[evil.example]",
    ]

    @Test(
        "without keys a service answers to addresses, its machine's names, and those allowed",
        arguments: ["127.0.0.1", "0.0.0.0"])
    func hosts(host: String) async throws {
        var name = [CChar](repeating: 0, count: 256)
        try #require(gethostname(&name, name.count - 1) == 0)
        let bytes = name.prefix { $0 != 0 }.map { UInt8(truncatingIfNeeded: $0) }
        let full = String(decoding: bytes, as: UTF8.self)
        let machine = full.split(separator: ".")[0].lowercased()
        try await withGateway(
            try FakeGenerator(),
            configure: {
                $0.host = host
                $0.allowRemoteWithoutKeys = true
                $0.allowedHosts = ["images.example"]
            }
        ) { client in
            let allowed = Self.addresses + ["images.example", "Images.Example:80"]
            #expect(try await statuses(allowed, client).values.allSatisfy { $0 == 200 })
            let refused = Self.foreign + (host == "0.0.0.0" ? [] : ["0.0.0.0", "[::]"])
            for (name, status) in try await statuses(refused, client) {
                #expect(status == 403, "\(name)")
            }
            let own = try await statuses([machine, machine + ".local"], client)
            #expect(own.values.allSatisfy { $0 == 200 }, "\(own)")
        }
    }

    @Test("with keys every name is answered, unless some are allowed by name")
    func hostsWithKeys() async throws {
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        _ = try keys.add("ann", scope: .generate)
        for allowed in [[], ["images.example"], ["*", "images.example"]] {
            try await withGateway(
                try FakeGenerator(), keys: keys,
                configure: {
                    $0.host = "0.0.0.0"
                    $0.allowedHosts = allowed
                }
            ) { client in
                let answers = try await statuses(
                    ["evil.example", "images.example", "10.0.0.7"], client)
                let isAny = allowed.isEmpty || allowed.contains("*")
                #expect(
                    answers == [
                        "evil.example": isAny ? 200 : 403, "images.example": 200, "10.0.0.7": 200,
                    ])
            }
        }
    }

    @Test("a page that rebinds its name gets nothing, whatever it sends")
    func rebinding() async throws {
        let generator = try FakeGenerator()
        try await withGateway(
            generator, configure: { $0.host = "0.0.0.0" }
        ) { client in
            let body = #"{"prompt": "p"}"#
            for fields in [
                ["Origin: http://evil.example:9997"], ["Sec-Fetch-Site: same-origin"],
                ["Origin: http://evil.example:9997", "Sec-Fetch-Site: same-origin"],
            ] {
                let lines = ["Host: evil.example:9997", "Connection: close"] + fields
                let answer = try await rawExchange(
                    port: client.port,
                    "POST /v1/images/generations HTTP/1.1\r\n\(lines.joined(separator: "\r\n"))\r\n"
                        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
                #expect(answer.hasPrefix("HTTP/1.1 403 "))
                #expect(answer.contains("host_not_allowed"))
            }
        }
        #expect(generator.requests.isEmpty)
    }
}
