// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Imaging
import Logging
import NIOCore
import Service
import Synchronization
import Testing

/// A service that requires keys.
@Suite("Keys over HTTP", .timeLimit(.minutes(5)))
struct KeyTests {
    private let request = #"{"prompt": "x"}"#

    @Test("without a key only the page is served; with one, everything of the key's own")
    func access() async throws {
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        let ann = try keys.add("ann", scope: .generate)
        let bob = try keys.add("bob", scope: .generate)
        let root = try keys.add("root", scope: .admin)
        @Sendable func bearer(_ key: String) -> HTTPFields { [.authorization: "Bearer \(key)"] }
        try await withGateway(try FakeGenerator(), keys: keys) { client in
            for path in ["/", "/assets/app.js", "/livez", "/readyz", "/metrics"] {
                #expect(try await client.get(path).status == .ok, "\(path)")
            }
            #expect(
                try await client.get("/v1/cluster/auth").object()["auth"] as? Bool == true)
            for path in ["/v1/models", "/api/jobs", "/sdapi/v1/options", "/config"] {
                let answer = try await client.get(path)
                #expect(answer.status == .unauthorized, "\(path)")
                #expect(
                    answer.headers[.wwwAuthenticate]?.hasPrefix(
                        path.hasPrefix("/sdapi") ? "Basic" : "Bearer") == true)
                #expect(try answer.error()["code"] == "missing_api_key")
            }
            let wrong = try await client.get("/v1/models", headers: bearer("ink-wrong"))
            #expect(try wrong.error()["code"] == "invalid_api_key")
            let basic = Data("user:\(ann)".utf8).base64EncodedString()
            for headers in [
                bearer(ann), [.authorization: "Basic \(basic)"],
                [HTTPField.Name("x-api-key") ?? .age: ann],
            ] {
                #expect(try await client.get("/v1/models", headers: headers).status == .ok)
            }
            let job = try await client.post("/api/jobs", request, headers: bearer(ann))
            let id = try #require(try job.object()["id"] as? String)
            func status(_ key: String) async throws -> Int {
                try await client.get("/api/jobs/\(id)", headers: bearer(key)).status.code
            }
            #expect(try await status(ann) == 200)
            #expect(try await status(bob) == 404)
            #expect(try await status(root) == 200)
            func count(_ key: String) async throws -> Int? {
                let list = try await client.get("/api/jobs", headers: bearer(key)).object()
                return (list["data"] as? [Any])?.count
            }
            #expect(try await count(ann) == 1)
            #expect(try await count(bob) == 0)
            #expect(try await count(root) == 1)
        }
    }

    @Test("two keys use one request id: each gets the picture of its own job, every time")
    func sharedRequestID() async throws {
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        let both = [
            (try keys.add("ann", scope: .generate), 1), (try keys.add("bob", scope: .generate), 2),
        ]
        try await withGateway(try FakeGenerator(), keys: keys) { client in
            var paths: [(path: String, headers: HTTPFields, seed: Int)] = []
            for (key, seed) in both {
                let headers: HTTPFields = [.authorization: "Bearer \(key)"]
                let answer = try await client.post(
                    "/v1/images/generations",
                    #"{"prompt": "x", "request_id": "same", "seed": \#(seed)}"#, headers: headers)
                #expect(answer.status == .ok)
                let job = try await client.get("/api/jobs/same", headers: headers).object()
                #expect(job["seed"] as? Int == seed)
                let id = try #require(job["id"] as? String)
                for name in ["same", id] {
                    paths.append(("/api/jobs/\(name)/images/0", headers, seed))
                }
            }
            for (path, headers, seed) in paths {
                let file = try await client.get(path, headers: headers)
                let image = try ImageDecoder.decode([UInt8](file.body.readableBytesView)).image
                #expect(Int(image.pixels[1]) == seed, "\(path)")
            }
            let foreign = try await client.get(paths[1].path, headers: paths[2].headers)
            #expect(foreign.status == .notFound)
        }
    }

    @Test("a key made again under an old name does not see the jobs of the former holder")
    func reusedName() async throws {
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        let old = try keys.add("ann", scope: .generate)
        try await withGateway(try FakeGenerator(), keys: keys) { client in
            let headers: HTTPFields = [
                .authorization: "Bearer \(old)", try .named("idempotency-key"): "k",
            ]
            let job = try await client.post("/api/jobs", request, headers: headers)
            let id = try #require(try job.object()["id"] as? String)
            try keys.revoke("ann")
            let new = try keys.add("ann", scope: .generate)
            var own: HTTPFields = [.authorization: "Bearer \(new)"]
            #expect(try await client.get("/api/jobs/\(id)", headers: own).status == .notFound)
            let list = try await client.get("/api/jobs", headers: own).object()
            #expect((list["data"] as? [Any])?.isEmpty == true)
            // The former holder's idempotency key is not the new one's.
            own[try .named("idempotency-key")] = "k"
            let other = try await client.post("/api/jobs", request, headers: own)
            #expect(try other.object()["id"] as? String != id)
        }
    }

    @Test("while the keys cannot be read no request is admitted, and readiness says so")
    func unreadableKeys() async throws {
        let temporary = try TemporaryStore()
        let logs = LogRecorder()
        let keys = try KeyStore(
            folder: temporary.folder, logger: Logger(label: "test") { _ in logs }, interval: .zero)
        let key = try keys.add("ann", scope: .admin)
        let file = temporary.folder.appending(path: "keys.json")
        let good = try Data(contentsOf: file)
        try await withGateway(try FakeGenerator(), keys: keys) { client in
            let headers: HTTPFields = [.authorization: "Bearer \(key)"]
            #expect(try await client.get("/v1/models", headers: headers).status == .ok)
            try FileManager.default.removeItem(at: file)
            for headers in [headers, [:]] {
                for path in ["/v1/models", "/api/catalog", "/none"] {
                    let answer = try await client.get(path, headers: headers)
                    #expect(answer.status == .serviceUnavailable, "\(path)")
                    #expect(try answer.error()["code"] == "keys_unreadable")
                    #expect(answer.headers[.retryAfter] != nil)
                    #expect(!answer.text.contains(temporary.folder.path))
                }
            }
            for path in ["/", "/livez", "/metrics"] {
                #expect(try await client.get(path).status == .ok)
            }
            let ready = try await client.get("/readyz")
            #expect(ready.status == .serviceUnavailable)
            #expect(try ready.object()["reasons"] as? [String] == ["keys_unreadable"])
            #expect(try await client.get("/v1/cluster/auth").object()["auth"] as? Bool == true)
            try good.write(to: file)
            #expect(try await client.get("/v1/models", headers: headers).status == .ok)
            #expect(try await client.get("/readyz").status == .ok)
        }
        let lines = logs.lines.all.withLock { $0.map(\.message) }
        #expect(lines.count == 2 && lines[0].hasPrefix("keys cannot be read"))
    }

    @Test(
        "the last key is revoked: the service stays closed; one that begins open closes with a key")
    func lastKey() async throws {
        let temporary = try TemporaryStore()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let keys = try KeyStore(folder: temporary.folder, logger: logger, interval: .zero)
        try await withGateway(try FakeGenerator(), keys: keys) { client in
            #expect(try await client.get("/v1/models").status == .ok)
            let key = try KeyStore(folder: temporary.folder).add("ann", scope: .generate)
            let headers: HTTPFields = [.authorization: "Bearer \(key)"]
            #expect(try await client.get("/v1/models").status == .unauthorized)
            #expect(try await client.get("/v1/models", headers: headers).status == .ok)
            try KeyStore(folder: temporary.folder).revoke("ann")
            for headers in [headers, [:]] {
                let answer = try await client.get("/v1/models", headers: headers)
                #expect(answer.status == .unauthorized)
            }
            #expect(try await client.get("/readyz").status == .ok)
        }
    }

    @Test("a key's limits are reported with the time to wait")
    func limits() async throws {
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        let key = try keys.add("ann", scope: .generate, perMinute: 1)
        try await withGateway(try FakeGenerator(), keys: keys) { client in
            let headers: HTTPFields = [.authorization: "Bearer \(key)"]
            let first = try await client.post("/v1/images/generations", request, headers: headers)
            #expect(first.status == .ok)
            let second = try await client.post("/v1/images/generations", request, headers: headers)
            #expect(second.status == .tooManyRequests)
            #expect(try second.error()["code"] == "rate_limit_exceeded")
            let wait = try #require(second.headers[.retryAfter].flatMap { Int($0) })
            #expect((1...60).contains(wait))
        }
    }

    @Test("a key's highest priority is enforced")
    func priority() async throws {
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        let plain = try keys.add("ann", scope: .generate)
        let urgent = try keys.add("bob", scope: .generate, priority: .high)
        let urgentRequest = #"{"prompt": "x", "priority": "high"}"#
        try await withGateway(try FakeGenerator(), keys: keys) { client in
            let refused = try await client.post(
                "/v1/images/generations", urgentRequest,
                headers: [.authorization: "Bearer \(plain)"])
            #expect(refused.status == .forbidden)
            #expect(try refused.error()["code"] == "priority_not_allowed")
            for (key, body) in [
                (urgent, urgentRequest), (plain, #"{"prompt": "x", "priority": "low"}"#),
            ] {
                let answer = try await client.post(
                    "/v1/images/generations", body, headers: [.authorization: "Bearer \(key)"])
                #expect(answer.status == .ok)
            }
        }
    }

    @Test("a detached job counts until it has ended; launching requires the scope admin")
    func detached() async throws {
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        let key = try keys.add("ann", scope: .generate, concurrency: 1)
        try await withGateway(try FakeGenerator(.hang), keys: keys) { client in
            let headers: HTTPFields = [.authorization: "Bearer \(key)"]
            let first = try await client.post("/api/jobs", request, headers: headers)
            #expect(first.status == .accepted)
            let second = try await client.post("/api/jobs", request, headers: headers)
            #expect(try second.error()["code"] == "concurrency_limit")
            let id = try #require(try first.object()["id"] as? String)
            _ = try await client.post("/api/jobs/\(id)/cancel", "", headers: headers)
            var third = second
            while third.status != .accepted {
                third = try await client.post("/api/jobs", request, headers: headers)
            }
            let launch = try await client.post(
                "/v1/models", #"{"model_name": "emoji-nano"}"#, headers: headers)
            #expect(launch.status == .forbidden)
            #expect(try launch.error()["code"] == "admin_required")
        }
    }
}
