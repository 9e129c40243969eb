// Part of Inkstone. Licence: see LICENSE.

/// The components of a model that have weights, recognised by tensor names.
///
/// A file may contain one component or several, each with its own prefix.
enum ModelComponent: String, CaseIterable, Sendable {
    case transformer
    case textEncoder = "text_encoder"
    case autoencoder = "vae"
    /// A tiny decoder for previews.
    case preview

    /// The name in messages.
    var title: String {
        switch self {
        case .transformer: "transformer"
        case .textEncoder: "text encoder"
        case .autoencoder: "autoencoder"
        case .preview: "preview decoder"
        }
    }

    /// The prefix of the tensor names of each component found.
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

    /// Tensor names that are unique to this component, one list for each naming scheme; all names of
    /// one list must be present.
    private var marks: [[String]] {
        switch self {
        // Lumina 2 has the same names except for the pad tokens.
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

    /// Recognises models of other families, for messages.
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
