// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing

@Suite struct ModelDirectoryTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Writes a model without weights.
    private func writeModel() throws {
        try folder.write(SmallModel.index, to: "model_index.json")
        try folder.write(SmallModel.transformer, to: "transformer/config.json")
        try folder.write(SmallModel.textEncoder, to: "text_encoder/config.json")
        try folder.write(SmallModel.autoencoder, to: "vae/config.json")
        try folder.write(SmallModel.scheduler, to: "scheduler/scheduler_config.json")
        try folder.write("{}", to: "tokenizer/tokenizer.json")
    }

    private func remove(_ path: String) throws {
        try FileManager.default.removeItem(at: folder.url.appending(path: path))
    }

    private func opening(_ url: URL? = nil) throws -> CheckpointError {
        try failure { try ModelDirectory(url: url ?? folder.url) }
    }

    @Test("a model's configuration is read without its weights") func opens() throws {
        try writeModel()
        let model = try ModelDirectory(url: folder.url)
        #expect(model.index.pipeline == "ZImagePipeline")
        #expect(model.transformerConfig.dim == 288)
        #expect(model.textEncoderConfig.hiddenLayers == 4)
        #expect(model.autoencoderConfig.normGroups == 8)
        #expect(model.schedulerConfig == .turbo && model.kind == .turbo)
        #expect(model.tokenizerURL.lastPathComponent == "tokenizer")
        #expect(model.manifest.id == folder.url.lastPathComponent)
        #expect(model.manifest.preview == .flux)
        #expect(try failure { try model.transformerStore() }.code == .incomplete)
    }

    @Test(
        "weights are opened when asked for, with either form of names", arguments: ["", "model."])
    func opensStores(prefix: String) throws {
        try writeModel()
        for (path, name) in [
            ("transformer/diffusion_pytorch_model", "t"), ("text_encoder/model", prefix + "e"),
            ("vae/diffusion_pytorch_model", "v"),
        ] {
            try SafetensorsFile.write(
                [NewTensor(name, shape: [1], .f32([1]))],
                to: folder.url.appending(path: path + ".safetensors"))
        }
        let model = try ModelDirectory(url: folder.url)
        #expect(try model.transformerStore().names == ["t"])
        #expect(try model.textEncoderStore().names == ["e"])
        #expect(try model.autoencoderStore().names == ["v"])
        // Opened once: the second call does not look at the folder again.
        try remove("vae/diffusion_pytorch_model.safetensors")
        #expect(try model.autoencoderStore().names == ["v"])
    }

    @Test("a folder without a scheduler is taken for Turbo") func noScheduler() throws {
        try writeModel()
        try remove("scheduler")
        #expect(try ModelDirectory(url: folder.url).schedulerConfig.shift == 3)
    }

    @Test("inkstone.json is read, and errors in it are not hidden") func manifest() throws {
        try writeModel()
        try folder.write("{\"id\": \"nano\"}", to: "inkstone.json")
        #expect(try ModelDirectory(url: folder.url).manifest.id == "nano")
        try folder.write("{\"id\": 1}", to: "inkstone.json")
        #expect(try opening().code == .badConfig)
    }

    @Test("a download cache gives the repository's name") func cacheName() throws {
        let path = "models--Some-Owner--Z-Image-Turbo/snapshots/0123abcd"
        try writeModel()
        let target = folder.url.appending(path: "x/" + path)
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: target.path, withDestinationPath: folder.url.path)
        #expect(try ModelDirectory(url: target).manifest.id == "Z-Image-Turbo")
    }

    // MARK: Refusals

    @Test("a folder that does not exist") func notFound() throws {
        let error = try opening(folder.url.appending(path: "absent"))
        #expect(error.code == .notFound && error.message.contains("does not exist"))
    }

    @Test(
        "a file in place of the folder",
        arguments: [
            ("z.ckpt", "a PyTorch pickle"), ("z.txt", "is a file"),
            ("model_index.json", "a file inside a model folder"),
        ])
    func fileInstead(name: String, mentions: String) throws {
        let error = try opening(try folder.write("x", to: name))
        #expect(error.code == .unreadable && error.message.contains(mentions), "\(error)")
    }

    @Test(
        "a folder without model_index.json says what it looks like",
        arguments: [
            ("", "it is empty"), ("z.ckpt", "PyTorch pickle"),
            ("snapshots/abc/model_index.json", "download cache"),
            ("transformer/config.json", "incomplete download"), ("config.json", "one component"),
            ("photo.png", "found 'photo.png'"),
        ])
    func noIndex(name: String, mentions: String) throws {
        if !name.isEmpty { try folder.write("x", to: name) }
        let error = try opening()
        #expect(error.message.contains("has no model_index.json"))
        #expect(error.message.contains(mentions), "\(error)")
    }

    @Test(
        "missing parts are named",
        arguments: [
            "transformer", "text_encoder", "tokenizer", "vae", "transformer/config.json",
            "text_encoder/config.json", "vae/config.json", "scheduler/scheduler_config.json",
        ])
    func missingPart(path: String) throws {
        try writeModel()
        try remove(path)
        let error = try opening()
        #expect(error.code == .incomplete && error.message.contains("'\(path)'"), "\(error)")
    }

    @Test("parts that do not fit each other") func mismatch() throws {
        try writeModel()
        try folder.write(
            SmallModel.transformer.replacing("\"cap_feat_dim\": 192", with: "\"cap_feat_dim\": 64"),
            to: "transformer/config.json")
        #expect(try opening().message.contains("cap_feat_dim"))
        try folder.write(
            SmallModel.transformer.replacing("\"in_channels\": 16", with: "\"in_channels\": 4"),
            to: "transformer/config.json")
        #expect(try opening().message.contains("latent_channels"))
    }
}
