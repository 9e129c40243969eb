// Part of Inkstone. Licence: see LICENSE.

/// The parts of a model that have weights, and how a file's names tell that it holds one.
///
/// A file may hold one part or several, each under a prefix of its own.
enum ModelComponent: String, CaseIterable, Sendable {
    case transformer
    case textEncoder = "text_encoder"
    case autoencoder = "vae"
    /// A tiny decoder for previews.
    case preview

    /// Its name in messages.
    var title: String {
        switch self {
        case .transformer: "transformer"
        case .textEncoder: "text encoder"
        case .autoencoder: "autoencoder"
        case .preview: "preview decoder"
        }
    }

    /// For each component that is there, the prefix of its tensors' names.
    static func found(in names: some Collection<String>) -> [ModelComponent: String] {
        var found: [ModelComponent: String] = [:]
        let names = Set(names)
        for component in allCases {
            found[component] =
                component.marks.lazy.compactMap { marks in
                    names.filter { $0.hasSuffix(marks[0]) }
                        .map { String($0.dropLast(marks[0].count)) }
                        .filter { prefix in
                            isBoundary(prefix) && marks.allSatisfy { names.contains(prefix + $0) }
                        }.min()
                }.first
        }
        return found
    }

    private static func isBoundary(_ prefix: String) -> Bool {
        prefix.isEmpty || prefix.last == "."
    }

    /// Names that only this component has, in each of the ways in which it is written; all of one
    /// list must be there.
    private var marks: [[String]] {
        switch self {
        // Lumina 2 has the same names but for the pad tokens.
        case .transformer: [["cap_embedder.0.weight", "cap_pad_token"]]
        case .textEncoder:
            [
                ["layers.0.self_attn.q_norm.weight", "embed_tokens.weight"],
                ["blk.0.attn_q_norm.weight", "token_embd.weight"],
            ]
        case .autoencoder:
            [
                ["decoder.up_blocks.0.resnets.0.conv1.weight", "encoder.conv_in.weight"],
                ["decoder.up.0.block.0.conv1.weight", "encoder.conv_in.weight"],
            ]
        case .preview:
            [
                ["decoder.layers.2.conv.0.weight", "decoder.layers.18.weight"],
                ["3.conv.0.weight", "19.weight"],
            ]
        }
    }

    /// Models that are taken for one of this family.
    static func stranger(_ names: Set<String>) -> String? {
        func has(_ ending: String) -> Bool { names.contains { $0.hasSuffix(ending) } }
        if has("cap_embedder.0.weight") { return "a Lumina 2 transformer" }
        if has("double_blocks.0.img_attn.qkv.weight") { return "a FLUX transformer" }
        if has("joint_blocks.0.x_block.attn.qkv.weight") {
            return "a Stable Diffusion 3 transformer"
        }
        if has("input_blocks.0.0.weight") { return "a Stable Diffusion checkpoint" }
        if has("transformer_blocks.0.img_mod.1.weight") { return "a Qwen-Image transformer" }
        if has("lora_A.weight") || has("lora_down.weight") { return "a LoRA" }
        if has("control_all_x_embedder.2-1.weight") { return "a ControlNet" }
        return nil
    }
}
