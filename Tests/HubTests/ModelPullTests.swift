// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Hub
import ModelFiles
import Synchronization
import Testing

/// Pulls from a hub that fails in the ways that hubs fail.
@Suite struct ModelPullTests {
    private let root: URL
    private let big = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 256) }
    private static let weights = "transformer/diffusion_pytorch_model.safetensors"

    init() throws {
        root = FileManager.default.temporaryDirectory.appending(
            path: "inkstone-catalog-\(UUID().uuidString)")
    }

    private func hub() async throws -> FakeHub {
        try await FakeHub([
            "model_index.json": Array(#"{"_class_name": "ZImagePipeline"}"#.utf8),
            "README.md": [1], ".gitattributes": [2], "vae/.DS_Store": [2], "assets/photo.png": [3],
            "transformer/config.json": Array("{}".utf8), Self.weights: big,
            "transformer/diffusion_pytorch_model.fp16.safetensors": [4],
            "text_encoder/config.json": Array("{}".utf8),
            "text_encoder/model.safetensors.index.json": Array("{}".utf8),
            "text_encoder/model-00001-of-00002.safetensors": Array(big[..<999]),
            "text_encoder/model-00002-of-00002.safetensors": Array(big[..<777]),
            "tokenizer/tokenizer.json": Array("{}".utf8), "tokenizer/notes.txt": [5],
            "vae/config.json": Array("{}".utf8), "vae/empty.safetensors": [],
        ])
    }

    private static let needed = [
        "model_index.json", "text_encoder/config.json",
        "text_encoder/model-00001-of-00002.safetensors",
        "text_encoder/model-00002-of-00002.safetensors",
        "text_encoder/model.safetensors.index.json", "tokenizer/tokenizer.json",
        "transformer/config.json", weights, "vae/config.json", "vae/empty.safetensors",
    ]

    private func pull(
        _ hub: FakeHub, _ kind: HubEndpoint.Kind = .huggingFace, token: String? = nil,
        change: (inout ModelPull) -> Void = { _ in }
    ) throws -> ModelPull {
        var pull = try ModelPull(
            FakeHub.repository,
            from: HubEndpoint(kind, address: hub.address, token: token, environment: [:]),
            into: root)
        pull.setRetryPolicy(failures: 4, firstPause: 0.01, silence: 5)
        change(&pull)
        return pull
    }

    private var model: URL { root.appending(path: "model") }

    private var names: [String] {
        (FileManager.default.subpaths(atPath: model.path) ?? []).filter { path in
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(
                atPath: model.appending(path: path).path, isDirectory: &isFolder)
            return !isFolder.boolValue && !path.hasPrefix(".")
        }.sorted()
    }

    private func check(_ hub: FakeHub) throws {
        #expect(names == Self.needed)
        for name in names {
            let bytes = try [UInt8](Data(contentsOf: model.appending(path: name)))
            #expect(bytes == hub.state.withLock { $0.files[name] }, "\(name)")
        }
        let hidden = try FileManager.default.contentsOfDirectory(atPath: root.path)
            .filter { $0.hasSuffix(".pull") || $0.hasSuffix(".old") }
        #expect(hidden.isEmpty)
    }

    private func failure(_ pull: ModelPull) async throws -> HubError {
        let error = await #expect(throws: HubError.self) { try await pull.run() }
        let found = try #require(error)
        #expect(!found.description.contains { $0.isNewline })
        #expect(!FileManager.default.fileExists(atPath: model.path))
        return found
    }

    // MARK: Whole pulls

    @Test("the needed files come, and no others; a second pull finds them") func whole()
        async throws
    {
        let hub = try await hub()
        hub.state.withLock { $0.pageSize = 4 }
        let last = Mutex<ModelPull.Progress?>(nil)
        let outcome = try await pull(hub).run { progress in last.withLock { $0 = progress } }
        try check(hub)
        #expect(!outcome.wasThere && outcome.commit == "c0ffee" && outcome.files == 10)
        let progress = try #require(last.withLock { $0 })
        #expect(progress.bytes == progress.total && progress.files == progress.fileCount)
        #expect(hub.fetched.count == Self.needed.count)
        #expect(try await pull(hub).run().wasThere)
        #expect(hub.fetched.count == Self.needed.count)
        try await hub.close()
    }

    @Test("ModelScope, with a token") func modelScope() async throws {
        let hub = try await hub()
        hub.state.withLock { ($0.isModelScope, $0.wantsToken) = (true, "secret") }
        let error = try await failure(try pull(hub, .modelScope))
        #expect(error.code == .denied && error.description.contains("MODELSCOPE_API_TOKEN"))
        _ = try await pull(hub, .modelScope, token: "secret").run()
        try check(hub)
        try await hub.close()
    }

    @Test("requests and the token go to the hub alone, whatever host its links name")
    func foreignLinks() async throws {
        let (hub, other) = (try await hub(), try await FakeHub([:]))
        hub.state.withLock {
            ($0.pageSize, $0.linkAddress, $0.wantsToken) = (4, other.address, "secret")
        }
        _ = try await pull(hub, token: "secret").run()
        try check(hub)
        #expect(other.state.withLock { $0.requests.isEmpty })
        try await hub.close()
        try await other.close()
    }

    @Test("a changed file is fetched again, the others are kept") func update() async throws {
        let hub = try await hub()
        _ = try await pull(hub).run()
        let before = hub.fetched.count
        hub.state.withLock { $0.files["vae/config.json"] = Array("{ }".utf8) }
        _ = try await pull(hub).run()
        try check(hub)
        #expect(hub.fetched.count == before + 1)
        try await hub.close()
    }

    @Test("files that patterns name, beside others") func patterns() async throws {
        let hub = try await hub()
        let first = try pull(hub) { $0.patterns = ["vae/*"] }
        _ = try await first.run()
        #expect(names == ["vae/config.json", "vae/empty.safetensors"])
        try Data("mine".utf8).write(to: model.appending(path: "inkstone.json"))
        let second = try pull(hub) {
            $0.patterns = ["*fp16*"]
            $0.adds = true
        }
        _ = try await second.run()
        #expect(
            names == [
                "inkstone.json", "transformer/diffusion_pytorch_model.fp16.safetensors",
                "vae/config.json", "vae/empty.safetensors",
            ])
        let error = await #expect(throws: HubError.self) {
            try await pull(hub) { $0.patterns = ["*.gguf"] }.run()
        }
        #expect(error?.code == .notFound && error?.description.contains("fp16") == true)
        try await hub.close()
    }

    // MARK: Faults that pass

    @Test("dropped connections go on where they broke") func drops() async throws {
        let hub = try await hub()
        hub.state.withLock {
            $0.faults[Self.weights] = [.drop(after: 20_000), .drop(after: 7), .drop(after: 10_000)]
        }
        _ = try await pull(hub).run()
        try check(hub)
        let ranges = hub.fetched.filter { $0.path.hasSuffix(Self.weights) }.map(\.range)
        // A connection that breaks may take bytes with it that were on their way.
        let starts = ranges.compactMap { $0?.dropFirst("bytes=".count).dropLast() }.compactMap {
            Int($0)
        }
        #expect(ranges.count == 4 && ranges[0] == nil && starts.count == 3)
        #expect(starts == starts.sorted() && starts[0] > 0 && starts[0] <= 20_000)
        #expect(starts[2] > starts[1] && starts[2] <= starts[1] + 10_000)
        try await hub.close()
    }

    @Test("busy answers are tried again") func busy() async throws {
        let hub = try await hub()
        hub.state.withLock {
            $0.faults[Self.weights] = [
                .status(429, retryAfter: "0"), .status(503, retryAfter: nil),
                .status(500, retryAfter: "0.01"),
            ]
            $0.faults["model_index.json"] = [.status(502, retryAfter: nil)]
        }
        _ = try await pull(hub).run()
        try check(hub)
        try await hub.close()
    }

    @Test("hubs that ignore ranges, or send another part") func ranges() async throws {
        let hub = try await hub()
        for fault in [FakeHub.Fault.wholeFile, .wrongPart, .status(416, retryAfter: nil)] {
            hub.state.withLock { $0.faults[Self.weights] = [.drop(after: 20_000), fault] }
            _ = try await pull(hub).run()
            try check(hub)
            try ModelRemoval.remove("model", from: root)
        }
        try await hub.close()
    }

    @Test("a pull that was stopped goes on") func stopped() async throws {
        let hub = try await hub()
        hub.state.withLock { $0.faults[Self.weights] = [.slow] }
        let running = Task { [pull = try pull(hub)] in
            try await pull.run { progress in
                if progress.bytes > 8_000 { withUnsafeCurrentTask { $0?.cancel() } }
            }
        }
        await #expect(throws: (any Error).self) { try await running.value }
        #expect(!FileManager.default.fileExists(atPath: model.path))
        _ = try await pull(hub).run()
        try check(hub)
        let resumed = hub.fetched.last { $0.path.hasSuffix(Self.weights) }
        #expect(resumed?.range?.hasPrefix("bytes=") == true)
        try await hub.close()
    }

    // MARK: Faults that stay

    @Test("wrong bytes never get the file's name") func corrupt() async throws {
        let hub = try await hub()
        hub.state.withLock { $0.faults[Self.weights] = [.wrongBytes, .wrongBytes] }
        let error = try await failure(try pull(hub))
        #expect(error.code == .corrupt && error.description.contains("checksum"))
        _ = try await pull(hub).run()
        try check(hub)
        try await hub.close()
    }

    @Test("wrong lengths") func lengths() async throws {
        let hub = try await hub()
        hub.state.withLock { $0.faults[Self.weights] = [.tooLong, .tooLong] }
        #expect(try await failure(try pull(hub)).description.contains("longer"))
        // Shorter than announced: the end never comes.
        hub.state.withLock { $0.sizes[Self.weights] = big.count + 1 }
        #expect(try await failure(try pull(hub)).code != .disk)
        hub.state.withLock { $0.sizes = [:] }
        _ = try await pull(hub).run()
        try check(hub)
        try await hub.close()
    }

    @Test("a hub that stays busy, or requests a delay that is too long") func busyHub() async throws
    {
        let hub = try await hub()
        hub.state.withLock {
            $0.faults[Self.weights] = [FakeHub.Fault](
                repeating: .status(429, retryAfter: nil), count: 9)
        }
        let error = try await failure(try pull(hub))
        #expect(error.code == .network && error.description.contains("429"))
        hub.state.withLock { $0.faults[Self.weights] = [.status(503, retryAfter: "86400")] }
        #expect(try await failure(try pull(hub)).description.contains("86400 s"))
        try await hub.close()
    }

    @Test("more than the disk has, other models, paths out of the folder") func refusals()
        async throws
    {
        let hub = try await hub()
        hub.state.withLock { $0.sizes[Self.weights] = 1 << 43 }
        #expect(try await failure(try pull(hub)).code == .disk)
        hub.state.withLock { $0.sizes = [:] }
        for path in ["../evil", "/evil", "a//b", "a/../../b", "a/./b", "a\\\\b"] {
            hub.state.withLock { $0.files[path] = [1] }
            #expect(try await failure(try pull(hub)).description.contains("path"), "\(path)")
            hub.state.withLock { _ = $0.files.removeValue(forKey: path) }
        }
        hub.state.withLock {
            $0.files["model_index.json"] = Array(#"{"_class_name": "FluxPipeline"}"#.utf8)
        }
        let error = await #expect(throws: CheckpointError.self) { try await pull(hub).run() }
        #expect(error?.code == .unsupported)
        hub.state.withLock { _ = $0.files.removeValue(forKey: "model_index.json") }
        #expect(try await failure(try pull(hub)).description.contains("--file"))
        try await hub.close()
    }

    @Test("names, addresses and what is in the way") func names() async throws {
        for name in ["model", "a/b/c", "../x", "a/", "/b", "a/b c", "-a/b"] {
            #expect(throws: HubError.self, "\(name)") {
                try ModelPull(name, from: HubEndpoint(.huggingFace, environment: [:]), into: root)
            }
        }
        #expect(
            try ModelPull(
                "z-image-turbo", from: HubEndpoint(.huggingFace, environment: [:]), into: root
            )
            .repository == "Tongyi-MAI/Z-Image-Turbo")
        #expect(throws: HubError.self) {
            try HubEndpoint(.huggingFace, address: "ftp://x", environment: [:])
        }
        #expect(
            try HubEndpoint(
                .huggingFace, environment: ["HF_ENDPOINT": "https://mirror/", "HF_TOKEN": "t"])
                == HubEndpoint(
                    .huggingFace, address: "https://mirror", token: "t", environment: [:]))
        let hub = try await hub()
        try FileManager.default.createDirectory(at: model, withIntermediateDirectories: true)
        let error = await #expect(throws: HubError.self) { try await pull(hub).run() }
        #expect(error?.code == .usage)
        try ModelRemoval.remove("model", from: root)
        #expect(throws: HubError.self) { try ModelRemoval.remove("model", from: root) }
        #expect(throws: HubError.self) { try ModelRemoval.remove("../x", from: root) }
        try await hub.close()
    }
}
