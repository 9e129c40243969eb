// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Imaging
import Logging
import NIOCore
import Service
import Synchronization
import Testing

/// Addresses of images open in browsers, which send no keys, unless they were changed.
@Suite("Links to images", .timeLimit(.minutes(5)))
struct ImageLinkTests {
    /// A service with the keys of two owners and an administrator, whose secret of links is its data folder's.
    private final class LinkService: Sendable {
        let temporary: TemporaryStore
        let keys: KeyStore
        let ann, bob, root: String

        init() throws {
            temporary = try TemporaryStore()
            keys = try KeyStore(
                folder: temporary.folder,
                logger: Logger(label: "test") { _ in
                    SwiftLogNoOpLogHandler()
                }, interval: .zero)
            ann = try keys.add("ann", scope: .generate)
            bob = try keys.add("bob", scope: .generate)
            root = try keys.add("root", scope: .admin)
        }

        /// Runs a test against a new process of the service.
        func run(
            seconds: Int = 60, signer: LinkSigner? = nil,
            _ test: @Sendable (TestClient) async throws -> Void
        ) async throws {
            var configuration = GatewayConfiguration(version: "1")
            configuration.linkSigner = try signer ?? LinkSigner(folder: temporary.folder)
            configuration.linkSeconds = seconds
            let gateway = Gateway(
                generator: try FakeGenerator(), store: temporary.store, keys: keys,
                configuration: configuration, telemetry: ServiceTelemetry(version: "1"),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            try await gateway.test(test)
        }
    }

    private func bearer(_ key: String) -> HTTPFields { [.authorization: "Bearer \(key)"] }

    /// Path and query of the `url` of a new image.
    private func link(
        _ client: TestClient, _ key: String, _ options: String = "", prompt: String = "p"
    ) async throws -> String {
        let answer = try await client.post(
            "/v1/images/generations", #"{"prompt": "\#(prompt)", "seed": 1\#(options)}"#,
            headers: bearer(key))
        let data = try #require(try answer.object()["data"] as? [[String: Any]])
        let url = try #require(URL(string: data[0]["url"] as? String ?? ""))
        return url.path() + (url.query().map { "?" + $0 } ?? "")
    }

    @Test(
        "a link opens without a key, in each format, with the bytes that base64 has",
        arguments: ["png", "jpeg", "webp"])
    func formats(_ format: String) async throws {
        let service = try LinkService()
        try await service.run { client in
            for quality in [95, 60] {
                let options =
                    #", "output_format": "\#(format)", "output_compression": \#(quality)"#
                let link = try await link(client, service.ann, options)
                let file = try await client.get(link)
                #expect(file.status == .ok && file.headers[.contentType] == "image/\(format)")
                let answer = try await client.post(
                    "/v1/images/generations",
                    #"{"prompt": "p", "seed": 1, "response_format": "b64_json"\#(options)}"#,
                    headers: bearer(service.ann))
                let data = try #require(try answer.object()["data"] as? [[String: Any]])
                let text = try #require(data[0]["b64_json"] as? String)
                #expect(Data(base64Encoded: text) == Data(file.body.readableBytesView))
                let head = try await client.execute(uri: link, method: .head)
                #expect(head.status == .ok)
            }
        }
    }

    @Test("a link that was changed in any part is refused, and one without its permit needs a key")
    func changed() async throws {
        let service = try LinkService()
        try await service.run { client in
            let link = try await link(
                client, service.ann, #", "output_format": "webp", "output_compression": 50"#)
            let other = try await self.link(client, service.bob)
            let signature = try #require(link.firstMatch(of: /signature=([0-9a-f]{64})/)).output.1
            let first = signature.first == "0" ? "1" : "0"
            let job = try #require(link.firstMatch(of: /job-[^-]+/)).output
            let otherJob = try #require(other.firstMatch(of: /job-[^-]+/)).output
            for wrong in [
                link.replacing(signature, with: first + signature.dropFirst()),
                link.replacing(signature, with: ""), link.replacing(signature, with: "%C3%A9"),
                link.replacing("quality=50", with: "quality=51"),
                link.replacing("quality=50&", with: ""), link + "&quality=50",
                link.replacing(".webp", with: ".png"), link.replacing("-0.", with: "-1."),
                link.replacing(job, with: otherJob), link.replacing(/expires=\d+/, with: ""),
                link.replacing(/expires=\d+/, with: "expires=99999999999"),
                link.replacing(/key=[^&]+/, with: "key=ann"),
            ] {
                let answer = try await client.get(wrong)
                #expect(answer.status == .forbidden, "\(wrong)")
                #expect(try answer.error()["code"] == "invalid_signature", "\(wrong)")
            }
            let plain = String(link.prefix { $0 != "?" })
            #expect(try await client.get(plain).status == .unauthorized)
            #expect(try await client.get(plain, headers: bearer(service.ann)).status == .ok)
            #expect(try await client.get(plain, headers: bearer(service.root)).status == .ok)
            #expect(try await client.get(plain, headers: bearer(service.bob)).status == .notFound)
        }
    }

    @Test("a link ends at its time, with its key, and with the job")
    func ends() async throws {
        let service = try LinkService()
        try await service.run(seconds: 0) { client in
            let answer = try await client.get(try await link(client, service.ann))
            #expect(answer.status == .gone)
            #expect(try answer.error()["code"] == "link_expired")
        }
        try await service.run { client in
            let link = try await link(client, service.bob)
            let job = try #require(link.firstMatch(of: /job-[^-]+/)).output
            let removed = try await client.execute(
                uri: "/api/jobs/\(job)", method: .delete, headers: bearer(service.bob))
            #expect(removed.status == .noContent)
            let answer = try await client.get(link)
            #expect(answer.status == .notFound)
            #expect(try answer.error()["code"] == "file_not_found")
            let revoked = try await self.link(client, service.ann)
            try service.keys.revoke("ann")
            // A new key of the same name is another one.
            _ = try service.keys.add("ann", scope: .generate)
            let refused = try await client.get(revoked)
            #expect(refused.status == .forbidden)
            #expect(try refused.error()["code"] == "key_revoked")
            let left = try await self.link(client, service.bob)
            let file = service.temporary.folder.appending(path: "keys.json")
            try Data("damaged".utf8).write(to: file)
            #expect(try await client.get(left).status == .serviceUnavailable)
        }
    }

    @Test("links hold after a restart, and are those of one secret")
    func restart() async throws {
        let service = try LinkService()
        let kept = Mutex("")
        try await service.run { client in
            let link = try await self.link(client, service.ann)
            kept.withLock { $0 = link }
        }
        let link = kept.withLock { $0 }
        try await service.run { client in
            let answer = try await client.get(link)
            #expect(answer.status == .ok)
        }
        try await service.run(signer: .temporary) { client in
            let answer = try await client.get(link)
            #expect(try answer.error()["code"] == "invalid_signature")
        }
    }

    @Test("a link is not evicted by what others make")
    func eviction() async throws {
        let service = try LinkService()
        try await service.run { client in
            let link = try await link(client, service.ann, #", "output_format": "webp""#)
            for number in 0..<70 {
                _ = try await self.link(
                    client, service.bob, #", "output_format": "webp", "steps": 1"#,
                    prompt: "p\(number)")
            }
            _ = try await client.post(
                "/gradio_api/queue/join",
                #"{"data": ["p", "", 1, 32, 16, 100], "session_hash": "s"}"#,
                headers: bearer(service.bob))
            let stream = try await client.get(
                "/gradio_api/queue/data?session_hash=s", headers: bearer(service.bob))
            #expect(stream.text.contains("process_completed"))
            #expect(try await client.get(link).status == .ok)
        }
    }

    @Test("jobs and their events have links beside their addresses, with keys only")
    func jobs() async throws {
        let service = try LinkService()
        try await service.run { client in
            let job = try await client.post(
                "/api/jobs", #"{"prompt": "p"}"#, headers: bearer(service.ann))
            let id = try #require(try job.object()["id"] as? String)
            let events = try await client.get(
                "/api/jobs/\(id)/events", headers: bearer(service.ann)
            ).events()
            let event = try #require(events.first { $0.name == "image" }?.data)
            for key in [service.ann, service.root] {
                let answer = try await client.get("/api/jobs/\(id)", headers: bearer(key))
                let images = try #require(try answer.object()["images"] as? [[String: Any]])
                for image in [images[0]] + (key == service.ann ? [event] : []) {
                    let link = try #require(image["link"] as? String)
                    let file = try await client.get(link)
                    #expect(file.status == .ok)
                    let path = try #require(image["url"] as? String)
                    let same = try await client.get(path, headers: bearer(key))
                    #expect(file.body == same.body)
                }
            }
            let list = try await client.get("/api/jobs", headers: bearer(service.ann))
            #expect(list.text.contains("signature="))
        }
        try await withGateway(try FakeGenerator()) { client in
            let link = try await link(client, "none")
            #expect(!link.contains("?"))
            let job = try #require(link.firstMatch(of: /job-[^-]+/)).output
            let answer = try await client.get("/api/jobs/\(job)")
            #expect(!answer.text.contains("link"))
            #expect(try await client.get(link).status == .ok)
        }
    }

    @Test("unknown names and wrong qualities, are answered as such")
    func unknownNames() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let link = try await link(client, "none")
            let base = link.prefix { $0 != "." }
            for name in [
                "none.png", "\(base.split(separator: "/").last ?? "")", "-0.png", "a-.png",
                "a-99999999999999999999.png", "..%2F..%2Fetc%2Fpasswd", "a-0.gif",
            ] {
                let answer = try await client.get("/v1/images/files/\(name)")
                #expect(answer.status == .notFound, "\(name)")
            }
            for quality in ["0", "101", "x", ""] {
                let answer = try await client.get("\(link)?quality=\(quality)")
                #expect(answer.status == .badRequest, "\(quality)")
                #expect(try answer.error()["param"] == "quality")
            }
        }
    }
}
