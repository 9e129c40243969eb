// Part of Inkstone. Licence: see LICENSE.

/// Why none of a LoRA file's keys belongs to a layer of a model: another model's names, or an unknown prefix.
struct ForeignLoRA {
    /// What the keys show, as a clause; `nil` if they show nothing.
    let reason: String?

    /// Parts of keys by the models whose layers have them, the more special ones first.
    private static let models: [(name: String, marks: [String])] = [
        ("Chroma", ["distilled_guidance_layer"]),
        ("Qwen-Image", ["img_mlp", "txt_mlp", "img_mod", "txt_mod"]),
        (
            "FLUX",
            [
                "double_blocks", "single_blocks", "single_transformer_blocks", "double_stream",
                "single_stream",
            ]
        ),
        ("Stable Diffusion 3", ["joint_blocks", "joint_transformer_blocks", "context_block"]),
        (
            "SDXL",
            [
                "lora_te2_", "text_encoder_2.", "label_emb",
                "down_blocks_2_attentions_1_transformer_blocks_9",
            ]
        ),
        (
            "Stable Diffusion or SDXL",
            [
                "down_blocks", "up_blocks", "mid_block", "input_blocks", "output_blocks",
                "middle_block",
            ]
        ),
        ("Wan", ["cross_attn", "blocks.0.self_attn", "blocks_0_self_attn"]),
        ("another diffusion transformer, such as SD 3 or LTX", ["transformer_blocks"]),
    ]

    /// Looks at keys that match no layer.
    ///
    /// - Complexity: linear in the keys, of which the first 2,000 count, and the parts of their names.
    init(_ keys: [String], targets: LoRATargets) {
        let keys = keys.prefix(2_000)
        if let prefix = Self.unknownPrefix(keys, targets) {
            reason = "they end like its layers, behind the unknown prefix '\(prefix)'"
            return
        }
        let model = Self.models.first { model in
            keys.contains { key in model.marks.contains { key.utf8.firstRange(of: $0.utf8) != nil }
            }
        }
        reason = model.map { "they are those of \($0.name)" }
    }

    /// The prefix of the first key whose rest is a layer of the model.
    private static func unknownPrefix(_ keys: ArraySlice<String>, _ targets: LoRATargets) -> String?
    {
        for key in keys where key.utf8.count <= 512 {
            guard let parts = LoRAKey(key) else { continue }
            var rest = parts.base[...]
            while let dot = rest.firstIndex(of: ".") {
                rest = rest[rest.index(after: dot)...]
                if targets.resolve(String(rest)) != nil {
                    return String(parts.base[..<rest.startIndex])
                }
            }
        }
        return nil
    }
}
