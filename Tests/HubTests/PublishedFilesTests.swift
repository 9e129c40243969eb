// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Hub
import Synchronization
import Testing

/// Folders compared with what a hub published.
@Suite struct PublishedFilesTests {
    private static let weights = "transformer/diffusion_pytorch_model.safetensors"
    private let root = FileManager.default.temporaryDirectory.appending(
        path: "inkstone-published-\(UUID().uuidString)")

    private func hub() async throws -> FakeHub {
        try await FakeHub([
            "model_index.json": Array(#"{"_class_name": "ZImagePipeline"}"#.utf8),
            "README.md": [1], "transformer/config.json": Array("{}".utf8),
            Self.weights: (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) },
            "text_encoder/model.safetensors": Array("text".utf8), "vae/config.json": [],
        ])
    }

    private func endpoint(_ hub: FakeHub) throws -> HubEndpoint {
        try HubEndpoint(.huggingFace, address: hub.address, environment: [:])
    }

    private func states(
        _ files: PublishedFiles, _ folder: URL
    ) -> [String: PublishedFiles.State] {
        Dictionary(
            uniqueKeysWithValues: files.compare(with: folder).map { ($0.path, $0.state) })
    }

    @Test("a pulled folder has the list, and is as published until something changes")
    func recorded() async throws {
        defer { try? FileManager.default.removeItem(at: root) }
        let hub = try await hub()
        let folder = try await ModelPull(
            FakeHub.repository, from: endpoint(hub), into: root
        ).run().folder
        let files = try #require(PublishedFiles(recordedIn: folder))
        #expect(files.repository == FakeHub.repository)
        var last = 0
        let results = files.compare(with: folder) { last = $0 }
        #expect(last == files.byteCount)
        #expect(results.map(\.path) == results.map(\.path).sorted())
        #expect(results.count == 5)
        #expect(results.allSatisfy { $0.state == .intact })

        var data = try Data(contentsOf: folder.appending(path: Self.weights))
        data[data.count / 2] ^= 0x40
        try data.write(to: folder.appending(path: Self.weights))
        try Data("longer".utf8).write(
            to: folder.appending(path: "text_encoder/model.safetensors"))
        // Compared by Git's digest: it is small.
        try Data("[]".utf8).write(to: folder.appending(path: "transformer/config.json"))
        try FileManager.default.removeItem(at: folder.appending(path: "vae/config.json"))
        #expect(
            states(files, folder) == [
                "model_index.json": .intact, Self.weights: .wrongBytes,
                "text_encoder/model.safetensors": .wrongSize,
                "transformer/config.json": .wrongBytes, "vae/config.json": .missing,
            ])
    }

    @Test("the hub is asked where a folder has no list; links are followed")
    func fetched() async throws {
        defer { try? FileManager.default.removeItem(at: root) }
        let hub = try await hub()
        let folder = root.appending(path: "links")
        let blobs = root.appending(path: "blobs")
        try FileManager.default.createDirectory(at: blobs, withIntermediateDirectories: true)
        for (path, bytes) in hub.state.withLock({ $0.files }) {
            let blob = blobs.appending(path: path.replacing("/", with: "-"))
            try Data(bytes).write(to: blob)
            let link = folder.appending(path: path)
            try FileManager.default.createDirectory(
                at: link.deletingLastPathComponent(), withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: blob)
        }
        #expect(PublishedFiles(recordedIn: folder) == nil)
        let files = try await PublishedFiles(of: FakeHub.repository, from: endpoint(hub))
        let found = states(files, folder)
        #expect(found.count == 5)
        #expect(found.values.allSatisfy { $0 == .intact })
    }

    @Test("a repository that is refused, and a name that is none")
    func refused() async throws {
        let hub = try await hub()
        hub.state.withLock { $0.wantsToken = "secret" }
        let denied = await #expect(throws: HubError.self) {
            _ = try await PublishedFiles(of: FakeHub.repository, from: endpoint(hub))
        }
        #expect(denied?.code == .denied)
        let wrong = await #expect(throws: HubError.self) {
            _ = try await PublishedFiles(of: "model", from: endpoint(hub))
        }
        #expect(wrong?.code == .usage)
    }
}
