// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Gateway
import HTTPTypes
import NIOCore
import Service
import Testing

/// The addresses in answers behind reverse proxies.
@Suite("Addresses behind proxies", .timeLimit(.minutes(5)))
struct ForwardedAddressTests {
    /// The beginning of the URL of an image for a request with some headers.
    private func base(
        _ headers: [(String, String)], host: String = "localhost:9997",
        configure: (inout GatewayConfiguration) -> Void = { _ in }
    ) async throws -> String {
        let found = Found()
        try await withGateway(
            try FakeGenerator(),
            configure: {
                $0.allowedHosts = ["*"]
                configure(&$0)
            }
        ) { client in
            var fields: HTTPFields = [try .named("host"): host]
            for (name, value) in headers {
                fields.append(HTTPField(name: try .named(name), value: value))
            }
            let answer = try await client.post(
                "/v1/images/generations", #"{"prompt": "p"}"#, headers: fields)
            let data = try #require(try answer.object()["data"] as? [[String: Any]])
            let url = try #require(data[0]["url"] as? String)
            await found.set(
                String(
                    url.prefix(upTo: try #require(url.range(of: "/v1/images/files/")).lowerBound)))
        }
        return await found.text
    }

    private actor Found {
        var text = ""
        func set(_ text: String) { self.text = text }
    }

    private static let cases: [(headers: [(String, String)], base: String)] = [
        ([], "http://localhost:9997"),
        ([("X-Forwarded-Proto", "https")], "https://localhost:9997"),
        (
            [("x-FORWARDED-proto", "HTTPS, http"), ("X-Forwarded-Host", "a.example")],
            "https://a.example"
        ),
        (
            [("X-Forwarded-Host", "a.example:8443"), ("X-Forwarded-Proto", "https")],
            "https://a.example:8443"
        ),
        (
            [("X-Forwarded-Host", "a.example, inner:80"), ("X-Forwarded-Port", "8080 , 80")],
            "http://a.example:8080"
        ),
        // The scheme's own port is left out.
        (
            [
                ("X-Forwarded-Host", "a.example"), ("X-Forwarded-Port", "443"),
                ("X-Forwarded-Proto", "https"),
            ], "https://a.example"
        ),
        ([("X-Forwarded-Port", "81")], "http://localhost:81"),
        ([("X-Forwarded-Prefix", "/ink/")], "http://localhost:9997/ink"),
        ([("X-Forwarded-Prefix", "outer, /inner/x")], "http://localhost:9997/outer/inner/x"),
        // Prefixes that lead elsewhere are none.
        ([("X-Forwarded-Prefix", "/../x")], "http://localhost:9997"),
        ([("X-Forwarded-Prefix", "/a\"b")], "http://localhost:9997"),
        ([("X-Forwarded-Prefix", "//evil.example")], "http://localhost:9997/evil.example"),
        ([("Forwarded", "for=192.0.2.60;proto=https;host=b.example")], "https://b.example"),
        (
            [("Forwarded", "Host=\"b.example:444\";Proto=https, host=inner;proto=http")],
            "https://b.example:444"
        ),
        (
            [
                ("Forwarded", "for=\"[2001:db8::1]\""),
                ("Forwarded", "proto=https;host=\"[2001:db8::2]:8080\""),
            ], "https://[2001:db8::2]:8080"
        ),
        ([("Forwarded", "for=\"a,b;c\\\"\";host=c.example")], "http://c.example"),
        // The standard header counts before the others.
        (
            [
                ("Forwarded", "host=b.example"), ("X-Forwarded-Host", "a.example:1"),
                ("X-Forwarded-Port", "2"), ("X-Forwarded-Proto", "https"),
            ], "https://b.example"
        ),
        // What is not an address is left out.
        (
            [
                ("X-Forwarded-Host", "a b/c"), ("X-Forwarded-Port", "99999"),
                ("X-Forwarded-Proto", "gopher"),
            ], "http://localhost:9997"
        ),
        ([("X-Forwarded-Host", " , "), ("Forwarded", ";;=,")], "http://localhost:9997"),
    ]

    @Test("headers of a trusted proxy", arguments: cases.indices)
    func trusted(index: Int) async throws {
        let (headers, expected) = Self.cases[index]
        #expect(try await base(headers) == expected)
    }

    @Test(
        "headers of others are ignored",
        arguments: [["none"], ["private"], ["203.0.113.0/24", "2001:db8::/32"], ["126.0.0.0/8"]])
    func untrusted(proxies: [String]) async throws {
        let headers = [
            ("X-Forwarded-Host", "a.example"), ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Prefix", "/x"), ("Forwarded", "host=b.example;proto=https"),
        ]
        let trusted = try #require(TrustedProxies(proxies))
        #expect(
            try await base(headers, configure: { $0.trustedProxies = trusted })
                == "http://localhost:9997")
    }

    @Test(
        "networks of proxies that contain this machine",
        arguments: [
            "loopback", "127.0.0.1", "127.0.0.0/8", "0.0.0.0/0", "127.0.0.1/32", "::ffff:127.0.0.1",
        ])
    func networks(proxy: String) async throws {
        let trusted = try #require(TrustedProxies([proxy, "10.0.0.0/8"]))
        #expect(
            try await base(
                [("X-Forwarded-Proto", "https")], configure: { $0.trustedProxies = trusted })
                == "https://localhost:9997")
    }

    @Test(
        "what is not a network",
        arguments: [
            "", "a", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "::/129", "10.0.0.0/8/8",
            "10.0.0.0/",
        ])
    func noNetwork(text: String) {
        #expect(TrustedProxies([text]) == nil)
    }

    @Test("a public URL counts before everything else")
    func publicURL() async throws {
        for (url, expected) in [
            ("https://p.example", "https://p.example"),
            ("HTTPS://P.example:443/", "https://p.example"),
            ("http://p.example:8080/ink/", "http://p.example:8080/ink"),
        ] {
            let address = try #require(ServiceAddress(url))
            let found = try await base(
                [("X-Forwarded-Host", "a.example"), ("X-Forwarded-Prefix", "/y")],
                configure: { $0.publicAddress = address })
            #expect(found == expected)
        }
        for url in [
            "p.example", "ftp://p.example", "https://", "https://p.example?x",
            "https://p.example/a b", "https://u@p.example",
        ] {
            #expect(ServiceAddress(url) == nil, "\(url)")
        }
    }

    @Test("every kind of link has the prefix")
    func links() async throws {
        let headers: HTTPFields = [
            try .named("x-forwarded-prefix"): "/ink", try .named("x-forwarded-host"): "localhost",
        ]
        try await withGateway(try FakeGenerator()) { client in
            let job = try await client.post("/api/jobs", #"{"prompt": "p"}"#, headers: headers)
            let location = try #require(job.headers[.location])
            #expect(location.hasPrefix("/ink/api/jobs/"))
            let events = try await client.get(
                String(location.dropFirst(4)) + "/events", headers: headers)
            #expect(events.text.contains("\"url\":\"/ink/api/jobs/"))
            let done = try await client.get(String(location.dropFirst(4)), headers: headers)
            #expect(done.text.contains("\"url\":\"/ink/api/jobs/"))
            let call = try await client.post(
                "/gradio_api/call/generate", #"{"data": ["p"]}"#, headers: headers)
            let event = try #require(try call.object()["event_id"] as? String)
            let gallery = try await client.get(
                "/gradio_api/call/generate/\(event)", headers: headers)
            #expect(gallery.text.contains("\"url\":\"http://localhost/ink/gradio_api/file=jobs/"))
            let document = try await client.get("/api/openapi.json", headers: headers).object()
            let servers = document["servers"] as? [[String: String]]
            #expect(servers == [["url": "http://localhost/ink"]])
            let plain = try await client.get("/api/openapi.json").object()
            #expect(plain["servers"] == nil)
        }
    }

    @Test("every host that a request went through must be allowed where no key is required")
    func rebinding() async throws {
        try await withGateway(
            try FakeGenerator(), configure: { $0.allowedHosts = ["good.example"] }
        ) { client in
            for (stated, status) in [
                ("good.example", 200), ("evil.example", 403), ("good.example, evil.example", 403),
                ("192.168.7.7:80", 200), ("a b", 403),
            ] {
                let answer = try await client.get(
                    "/v1/models", headers: [try .named("x-forwarded-host"): stated])
                #expect(answer.status.code == status, "\(stated)")
            }
        }
        let address = try #require(ServiceAddress("https://p.example/ink"))
        try await withGateway(try FakeGenerator(), configure: { $0.publicAddress = address }) {
            client in
            let answer = try await client.post(
                "/api/jobs", #"{"prompt": "p"}"#,
                headers: [try .named("host"): "p.example", .origin: "https://p.example"])
            #expect(answer.status == .accepted)
        }
    }
}
