// Part of Inkstone. Licence: see LICENSE.

import Basics
import Catalog
import Engine
import Foundation
import Gateway
import HTTPTypes
import Logging
import Service
import Synchronization
import Testing

/// When `/readyz` is 503, and what clients are answered then.
@Suite(.timeLimit(.minutes(5))) struct ReadinessTests {
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

    @Test("not while the disk is full: requests are refused at once")
    func fullDisk() async throws {
        let temporary = try TemporaryStore()
        let gateway = Gateway(
            generator: try FakeGenerator(), store: temporary.store,
            configuration: GatewayConfiguration(version: "1"),
            telemetry: ServiceTelemetry(version: "1"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let store = temporary.store
        try await gateway.test { client in
            #expect(try await client.get("/readyz").status == .ok)
            store.failpoint.withLock {
                $0 = {
                    guard $0 == .transaction else { return }
                    throw JobStoreError(code: .full, message: "No space.")
                }
            }
            for target in [path, "/api/jobs"] {
                let refused = try await client.post(target, #"{"prompt": "p"}"#)
                #expect(refused.status == .serviceUnavailable)
                #expect(try refused.error()["code"] == "storage_full")
                #expect(refused.headers[.retryAfter] == "60")
            }
            let ready = try await client.get("/readyz")
            #expect(ready.status == .serviceUnavailable && ready.headers[.retryAfter] == "60")
            #expect(try ready.object()["reasons"] as? [String] == ["storage_full"])
            #expect(try await client.get("/livez").status == .ok)
            store.failpoint.withLock { $0 = nil }
            #expect(await store.testSpace())
            #expect(try await client.get("/readyz").status == .ok)
            #expect(try await client.post(path, #"{"prompt": "p"}"#).status == .ok)
        }
    }

    @Test("uploads that a killed server was receiving are removed at a start")
    func leftovers() async throws {
        let temporary = try TemporaryStore()
        let folder = temporary.folder.appending(path: "loras")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let (dead, live) = (
            folder.appending(path: ".upload-1"), folder.appending(path: ".upload-2")
        )
        for file in [dead, live] { try Data([0]).write(to: file) }
        let other = folder.appending(path: "mine.safetensors")
        try Data([0]).write(to: other)
        // Another server of the folder is receiving this one.
        let handle = try FileHandle(forWritingTo: live)
        LeftoverFile.lock(handle.fileDescriptor)
        var configuration = GatewayConfiguration(version: "1")
        configuration.loras = LoRARegistry(folder: folder)
        let gateway = Gateway(
            generator: try FakeGenerator(), store: temporary.store, configuration: configuration,
            telemetry: ServiceTelemetry(version: "1"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        await gateway.startHousekeeping()
        #expect(!FileManager.default.fileExists(atPath: dead.path))
        #expect(FileManager.default.fileExists(atPath: live.path))
        #expect(FileManager.default.fileExists(atPath: other.path))
        try handle.close()
    }
}
