// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import Gateway
import HTTPTypes
import Service
import Testing

/// The models of this machine over HTTP.
@Suite("The catalog of models over HTTP")
struct CatalogRouteTests {
    private static let embedded = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")

    /// A folder of models with a usable one (a link) and an unusable one.
    private struct Models {
        let root = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-catalog-\(UUID().uuidString)")

        init() throws {
            let manager = FileManager.default
            try manager.createDirectory(at: root, withIntermediateDirectories: true)
            try manager.createSymbolicLink(
                at: root.appending(path: "good"), withDestinationURL: CatalogRouteTests.embedded)
            let bad = root.appending(path: "bad")
            try manager.createDirectory(at: bad, withIntermediateDirectories: true)
            try Data(#"{"_class_name": "FluxPipeline"}"#.utf8)
                .write(to: bad.appending(path: "model_index.json"))
        }

        var locator: ModelLocator { ModelLocator(environment: ["INKSTONE_MODELS": root.path]) }

        func remove() { try? FileManager.default.removeItem(at: root) }
    }

    @Test("models are listed with their errors, and whether they can be removed")
    func list() async throws {
        let models = try Models()
        defer { models.remove() }
        try await withGateway(try FakeGenerator(), configure: { $0.locator = models.locator }) {
            client in
            let list = try await client.get("/api/catalog").object()["models"]
            let rows = try #require(list as? [[String: Any]])
            let byName = Dictionary(uniqueKeysWithValues: rows.map { ($0["name"] as? String, $0) })
            let good = try #require(byName["good"])
            #expect(good["usable"] as? Bool == true && good["removable"] as? Bool == true)
            #expect(good["launched"] as? Bool == false && good["id"] as? String == "emoji-nano")
            let bad = try #require(byName["bad"])
            #expect(bad["usable"] as? Bool == false)
            #expect((bad["error"] as? String)?.contains("transformer") == true)
            let one = try await client.get("/api/catalog/good").object()
            #expect((one["parameters"] as? Int ?? 0) > 1_000_000)
            #expect(one["resident_bytes"] is Int && one["precision"] is String)

            for (name, status) in [
                ("good", HTTPResponse.Status.noContent), ("good", .notFound), ("bad", .noContent),
                ("emoji-nano", .conflict), ("..%2Fx", .notFound),
            ] {
                let answer = try await client.execute(uri: "/api/catalog/\(name)", method: .delete)
                #expect(answer.status == status, "\(name)")
            }
            // A link went, and not what it leads to.
            let index = Self.embedded.appending(path: "model_index.json").path
            #expect(FileManager.default.fileExists(atPath: index))
        }
    }

    @Test("invalid requests are refused before anything is downloaded")
    func refusals() async throws {
        let models = try Models()
        defer { models.remove() }
        try await withGateway(try FakeGenerator(), configure: { $0.locator = models.locator }) {
            client in
            for (body, status) in [
                ("{}", HTTPResponse.Status.badRequest),
                (#"{"repository": "nonsense"}"#, .badRequest),
                (#"{"repository": "a/b", "name": "../x"}"#, .badRequest),
                (#"{"repository": "a/b", "name": "x/y"}"#, .badRequest),
                (#"{"repository": "a/b", "name": ".x"}"#, .badRequest),
                (#"{"repository": "a/b", "hub": "elsewhere"}"#, .badRequest),
                (#"{"repository": "a/b", "files": "x"}"#, .badRequest),
                (#"{"repository": "a/b", "files": [1]}"#, .badRequest),
                (#"{"repository": "a/b", "name": "emoji-nano"}"#, .conflict),
            ] {
                let answer = try await client.post("/api/catalog", body)
                #expect(answer.status == status, "\(body)")
            }
            #expect(try await client.post("/api/catalog/none/quantize", "").status == .notFound)
            let wrong = try await client.post(
                "/api/catalog/good/quantize", #"{"precision": "fp4"}"#)
            #expect(wrong.status == .badRequest)
            #expect(try await client.get("/api/catalog-tasks/none").status == .notFound)
            let tasks = try await client.get("/api/catalog-tasks").object()["tasks"] as? [Any]
            #expect(tasks?.isEmpty == true)
        }
    }

    @Test("every route requires the scope admin")
    func keys() async throws {
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        let key = try keys.add("ann", scope: .generate)
        try await withGateway(try FakeGenerator(), keys: keys) { client in
            for (method, path) in [
                (HTTPRequest.Method.get, "/api/catalog"), (.post, "/api/catalog"),
                (.get, "/api/catalog/emoji-nano"), (.delete, "/api/catalog/emoji-nano"),
                (.post, "/api/catalog/emoji-nano/quantize"), (.get, "/api/catalog-tasks"),
                (.get, "/api/catalog-tasks/x"), (.delete, "/api/catalog-tasks/x"),
                (.post, "/v1/models/emoji-nano/replicas"),
                (.delete, "/v1/models/emoji-nano/replicas/1"),
            ] {
                let answer = try await client.execute(
                    uri: path, method: method, headers: [.authorization: "Bearer \(key)"])
                #expect(answer.status == .forbidden, "\(method) \(path)")
            }
        }
    }
}
