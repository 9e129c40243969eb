// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing
import ZImage

/// Files whose keys belong to no layer of the embedded model, and spellings of those that do.
@Suite struct ForeignLoRATests {
    private static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Models/emoji-nano")

    private func contents(_ tensors: [NewTensor]) throws -> LoRAFile.Contents {
        let url = FileManager.default.temporaryDirectory
            .appending(path: "\(UUID().uuidString).safetensors")
        defer { try? FileManager.default.removeItem(at: url) }
        try SafetensorsFile.write(tensors, to: url)
        let targets = try LoRATargets(model: try ModelDirectory(url: Self.model))
        return try LoRAFile(url: url).contents(for: targets)
    }

    private func pair(_ base: String) -> [NewTensor] {
        [
            NewTensor(
                "\(base).lora_A.weight", shape: [2, 288], .f32(.init(repeating: 1, count: 576))),
            NewTensor(
                "\(base).lora_B.weight", shape: [288, 2], .f32(.init(repeating: 1, count: 576))),
        ]
    }

    @Test(
        "a file of another model is refused with an example and that model's name",
        arguments: [
            ("lora_unet_double_blocks_0_img_attn_proj", "FLUX"),
            ("transformer.single_transformer_blocks.3.attn.to_q", "FLUX"),
            ("transformer_blocks.0.img_mlp.net.2", "Qwen-Image"),
            ("lora_unet_down_blocks_0_attentions_0_proj_in", "Stable Diffusion or SDXL"),
            ("lora_te2_text_model_encoder_layers_0_mlp_fc1", "SDXL"),
            ("diffusion_model.blocks.0.cross_attn.k", "Wan"),
            ("diffusion_model.joint_blocks.0.x_block.attn.proj", "Stable Diffusion 3"),
        ])
    func otherModels(base: String, name: String) throws {
        let error = #expect(throws: CheckpointError.self) { _ = try contents(pair(base)) }
        let message = try #require(error?.message)
        #expect(
            message.hasSuffix(
                "changes no layer of this model: none of its 2 keys belongs to one, such as"
                    + " '\(base).lora_A.weight': they are those of \(name)."))
    }

    @Test(
        "an unknown prefix is named",
        arguments: ["my.wrapper.", "student_model.", "base_model.model.policy."])
    func unknownPrefix(prefix: String) throws {
        let error = #expect(throws: CheckpointError.self) {
            _ = try contents(pair(prefix + "layers.0.attention.to_q"))
        }
        #expect(error?.message.contains("behind the unknown prefix '\(prefix)'") == true)
    }

    @Test("keys that show nothing are refused with an example alone")
    func unknown() throws {
        let error = #expect(throws: CheckpointError.self) {
            _ = try contents([NewTensor("something.alpha", shape: [1], .f32([1]))])
        }
        #expect(error?.message.hasSuffix("such as 'something.alpha'.") == true)
    }

    @Test(
        "prefixes of wrappers are stripped, torch.compile's at any place",
        arguments: [
            "_orig_mod.layers.0.attention.to_q", "module._orig_mod.layers.0.attention.to_q",
            "pipe.dit.layers.0.attention.to_q", "dit.layers.0.attention.to_q",
            "module.layers.0.attention.to_q", "transformer._orig_mod.layers.0.attention.to_q",
            "layers._orig_mod.0._orig_mod.attention.to_q",
            "lora_unet__orig_mod_layers_0_attention_to_q",
        ])
    func wrappers(base: String) throws {
        let report = try contents(pair(base)).report
        #expect(report.matched == 1 && report.unmatched.isEmpty)
    }
}
