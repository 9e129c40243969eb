// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Parameters
import Testing

/// Models as files of weights: which file holds what, under which names, and what shapes say.
@Suite struct SingleFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    // MARK: A model of zeros

    private static func tensor(_ name: String, _ shape: Int...) -> NewTensor {
        NewTensor(
            name, shape: shape,
            .f32((0..<shape.reduce(1, *)).map { Float($0 % 251) }))
    }

    private static let transformer =
        [
            tensor("x_embedder.weight", 32, 64), tensor("x_embedder.bias", 32),
            tensor("cap_pad_token", 1, 32), tensor("x_pad_token", 1, 32),
            tensor("cap_embedder.0.weight", 24), tensor("cap_embedder.1.weight", 32, 24),
            tensor("final_layer.linear.weight", 64, 32), tensor("norm_final.weight", 32),
        ]
        + ["noise_refiner.0", "layers.0", "layers.1"].flatMap { block in
            [
                tensor("\(block).attention.qkv.weight", 96, 32),
                tensor("\(block).attention.out.weight", 32, 32),
                tensor("\(block).attention.q_norm.weight", 16),
                tensor("\(block).attention.k_norm.weight", 16),
                tensor("\(block).attention_norm1.weight", 32),
            ]
        }

    private static let textEncoder =
        [tensor("model.embed_tokens.weight", 40, 24), tensor("model.norm.weight", 24)]
        + (0..<3).flatMap { layer in
            [
                tensor("model.layers.\(layer).input_layernorm.weight", 24),
                tensor("model.layers.\(layer).self_attn.q_norm.weight", 8),
                tensor("model.layers.\(layer).self_attn.q_proj.weight", 32, 24),
                tensor("model.layers.\(layer).self_attn.k_proj.weight", 16, 24),
                tensor("model.layers.\(layer).mlp.gate_proj.weight", 48, 24),
            ]
        }

    private static let autoencoder =
        (0..<2).flatMap { level in
            [
                tensor("encoder.down.\(level).block.0.conv1.weight", 32 * (level + 1), 32, 3, 3),
                tensor("decoder.up.\(level).block.0.conv1.weight", 32 * (level + 1), 64, 3, 3),
            ]
        } + [
            tensor("encoder.conv_in.weight", 32, 3, 3, 3),
            tensor("encoder.conv_out.weight", 32, 64, 3, 3),
            tensor("encoder.down.0.downsample.conv.weight", 32, 32, 3, 3),
            tensor("decoder.up.1.upsample.conv.weight", 64, 64, 3, 3),
            tensor("decoder.up.0.block.0.nin_shortcut.weight", 32, 64, 1, 1),
            tensor("encoder.mid.attn_1.q.weight", 64, 64, 1, 1),
            tensor("decoder.norm_out.weight", 32), tensor("decoder.mid.block_2.conv1.bias", 64),
        ]

    private func write(_ tensors: [NewTensor], to path: String, prefix: String = "") throws -> URL {
        let url = folder.url.appending(path: path)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try SafetensorsFile.write(
            tensors.map { NewTensor(prefix + $0.name, shape: $0.shape, $0.numbers) }, to: url)
        return url
    }

    @discardableResult
    private func writeSplit(transformer name: String = "z_image_turbo.safetensors") throws -> URL {
        let file = try write(Self.transformer, to: "diffusion_models/\(name)")
        _ = try write(Self.textEncoder, to: "text_encoders/qwen.safetensors")
        _ = try write(Self.autoencoder, to: "vae/ae.safetensors")
        try folder.write("{}", to: "tokenizer/tokenizer.json")
        return file
    }

    private func check(_ model: ModelDirectory) throws {
        #expect(
            model.transformerConfig
                == TransformerConfig(
                    inChannels: 16, dim: 32, layers: 2, refinerLayers: 1, heads: 2,
                    captionWidth: 24, axesDims: [4, 6, 6], axesLengths: [1536, 512, 512]))
        #expect(
            model.textEncoderConfig
                == TextEncoderConfig(
                    vocabularySize: 40, hiddenSize: 24, intermediateSize: 48, hiddenLayers: 3,
                    attentionHeads: 4, keyValueHeads: 2, headDim: 8, ropeTheta: 1_000_000,
                    maxPositions: 40_960))
        let vae = model.autoencoderConfig
        #expect(vae.blockOutChannels == [32, 64] && vae.latentChannels == 16)
        #expect(vae.scalingFactor == 0.3611 && vae.shiftFactor == 0.1159 && !vae.useQuantConv)
        let store = try model.transformerStore()
        // Rows of the joined matrix: queries, then keys, then values.
        let joined = try #require(Self.transformer.first { $0.name.hasSuffix("qkv.weight") })
        guard case .f32(let numbers) = joined.numbers else { return }
        for (index, part) in ["to_q", "to_k", "to_v"].enumerated() {
            let tensor = try #require(store["layers.1.attention.\(part).weight"])
            #expect(tensor.shape == [32, 32])
            #expect(try tensor.floats() == Array(numbers[(1024 * index)..<(1024 * (index + 1))]))
        }
        for name in [
            "all_x_embedder.2-1.weight", "all_final_layer.2-1.linear.weight",
            "layers.0.attention.to_out.0.weight", "noise_refiner.0.attention.norm_q.weight",
        ] {
            #expect(store[name] != nil, "\(name)")
        }
        #expect(try model.textEncoderStore()["layers.2.mlp.gate_proj.weight"] != nil)
        let pixels = try model.autoencoderStore()
        #expect(pixels["decoder.up_blocks.0.resnets.0.conv1.weight"]?.shape == [64, 64, 3, 3])
        for name in [
            "encoder.down_blocks.0.downsamplers.0.conv.weight",
            "decoder.up_blocks.0.upsamplers.0.conv.weight",
            "decoder.up_blocks.1.resnets.0.conv_shortcut.weight", "decoder.conv_norm_out.weight",
            "decoder.mid_block.resnets.1.conv1.bias",
        ] {
            #expect(pixels[name] != nil, "\(name)")
        }
        #expect(pixels["encoder.mid_block.attentions.0.to_q.weight"]?.shape == [64, 64])
    }

    // MARK: Finding parts

    @Test("a folder as ComfyUI sorts it, and its transformer's file") func split() throws {
        let file = try writeSplit()
        #expect(ModelDirectory.isModel(folder.url))
        let model = try ModelDirectory(url: folder.url)
        try check(model)
        #expect(model.kind == .turbo)
        #expect(model.tokenizerURL.lastPathComponent == "tokenizer")
        let single = try ModelDirectory(url: file)
        try check(single)
        #expect(single.manifest.id == "z_image_turbo")
        // Another transformer beside it makes the folder unclear, but not the file.
        _ = try write(Self.transformer, to: "diffusion_models/other.safetensors")
        try check(try ModelDirectory(url: file))
        let error = try failure { try ModelDirectory(url: folder.url) }
        #expect(error.message.contains("several files with a transformer"), "\(error)")
        try folder.write(
            #"{"files": {"transformer": "diffusion_models/other.safetensors"}, "kind": "base"}"#,
            to: "inkstone.json")
        let chosen = try ModelDirectory(url: folder.url)
        #expect(chosen.kind == .base && chosen.manifest.defaults.guidanceScale == 4)
    }

    @Test("one file with all parts") func joint() throws {
        let text = Self.textEncoder.map {
            NewTensor("text_encoders.qwen3_4b.transformer." + $0.name, shape: $0.shape, $0.numbers)
        }
        let pixels = Self.autoencoder.map {
            NewTensor("vae." + $0.name, shape: $0.shape, $0.numbers)
        }
        let image = Self.transformer.map {
            NewTensor("model.diffusion_model." + $0.name, shape: $0.shape, $0.numbers)
        }
        let file = try write(text + pixels + image, to: "all.safetensors")
        try folder.write("{}", to: "tokenizer.json")
        try check(try ModelDirectory(url: file))
        try check(try ModelDirectory(url: folder.url))
    }

    @Test(
        "the kind that a file's name says",
        arguments: [
            ("z_image_turbo_bf16", ModelKind.turbo), ("z_image_bf16", .base),
            ("z-image-base-fp8", .base), ("beautiful-mix-v3", .turbo),
            ("z_image_turbo-Q4_K_M", .turbo), ("z_image-Q4_K_M", .base),
            ("z_image_quality_mix", .turbo),
        ])
    func kinds(name: String, kind: ModelKind) throws {
        try writeSplit(transformer: name + ".safetensors")
        #expect(try ModelDirectory(url: folder.url).kind == kind)
    }

    // MARK: Refusals

    @Test("missing parts are named") func missing() throws {
        let file = try write(Self.transformer, to: "z.safetensors")
        let error = try failure { try ModelDirectory(url: file) }
        #expect(error.code == .incomplete)
        #expect(error.message.contains("text encoder and the autoencoder"), "\(error)")
        _ = try write(Self.textEncoder, to: "qwen.safetensors")
        _ = try write(Self.autoencoder, to: "ae.safetensors")
        #expect(try failure { try ModelDirectory(url: file) }.message.contains("no tokenizer"))
    }

    @Test("models of other families are named") func strangers() throws {
        for (name, mentions) in [
            ("cap_embedder.0.weight", "Lumina 2"),
            ("double_blocks.0.img_attn.qkv.weight", "FLUX"),
            ("lora_unet_x.lora_down.weight", "LoRA"), ("anything", "such as 'anything'"),
        ] {
            let file = try write([Self.tensor(name, 2)], to: "x.safetensors")
            let error = try failure { try ModelDirectory(url: file) }
            #expect(error.code == .unsupported && error.message.contains(mentions), "\(error)")
        }
    }

    @Test("inkstone.json names what is not there, or another thing") func manifest() throws {
        try writeSplit()
        for (text, mentions) in [
            (#"{"files": {"transformer": "absent.gguf"}}"#, "a file that exists"),
            (#"{"files": {"unet": "x"}}"#, "unet"), (#"{"kind": "medium"}"#, "kind"),
        ] {
            try folder.write(text, to: "inkstone.json")
            let error = try failure { try ModelDirectory(url: folder.url) }
            #expect(error.message.contains(mentions), "\(error)")
        }
    }
}
