// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

/// The weights of a model that a LoRA may change, under every name that files give them.
package struct LoRATargets: Sendable {
    /// One or several neighbouring weights that a key names.
    struct Target: Sendable, Equatable {
        /// Names of the stored weights.
        var tensors: [String]
        /// Output features of each.
        var rows: [Int]
        /// Input features.
        var depth: Int
        /// Whether the name is the one of the diffusers layout.
        var isCanonical: Bool
        /// Whether the model runs it.
        var isUsed: Bool
    }

    private static let prefixes = [
        "base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.",
        "lora_unet__", "lora_unet_", "lora_transformer_", "lycoris_", "model.", "model_", "unet.",
        "text_encoders.qwen3_4b.transformer.", "text_encoders.qwen3_4b.", "text_encoder.",
        "text_encoder_", "lora_te1_", "lora_te_",
    ]

    private var byName: [String: Target] = [:]

    /// Targets of the given weights; keys of layer `unusedPrefix` of the text encoder are known, but
    /// that layer does not run.
    init(transformer: [TensorSpec], textEncoder: [TensorSpec], unusedPrefix: String) {
        var targets: [String: Target] = [:]
        for spec in transformer + textEncoder {
            guard spec.shape.count == 2, spec.name.hasSuffix(".weight"),
                spec.name != "embed_tokens.weight"
            else { continue }
            targets[String(spec.name.dropLast(".weight".count))] = Target(
                tensors: [spec.name], rows: [spec.shape[0]], depth: spec.shape[1],
                isCanonical: true, isUsed: true)
        }
        for (name, target) in targets {
            add(name, target)
            for alias in Self.aliases(of: name) {
                var alias = (name: alias, target: target)
                alias.target.isCanonical = false
                add(alias.name, alias.target)
            }
            if name.hasPrefix("layers.0."), name.contains(".self_attn.") || name.contains(".mlp.") {
                var unused = target
                unused.isUsed = false
                add(unusedPrefix + name.dropFirst("layers.0.".count), unused)
            }
            // One matrix for queries, keys and values, as in the original layout.
            guard name.hasSuffix(".attention.to_q") else { continue }
            let block = name.dropLast("to_q".count)
            let parts = ["to_q", "to_k", "to_v"].compactMap { targets[block + $0] }
            let fused = Target(
                tensors: parts.flatMap(\.tensors), rows: parts.flatMap(\.rows),
                depth: target.depth, isCanonical: false, isUsed: true)
            if parts.count == 3 { add(block + "qkv", fused) }
        }
    }

    private mutating func add(_ name: String, _ target: Target) {
        byName[name] = target
        byName[name.map { $0 == "." ? "_" : String($0) }.joined()] = target
    }

    /// Names of the original layout.
    private static func aliases(of name: String) -> [String] {
        if name.hasSuffix(".attention.to_out.0") {
            let block = name.dropLast("to_out.0".count)
            return [block + "out", block + "wo", block + "to_out"]
        }
        if name.hasPrefix("all_x_embedder.") { return ["x_embedder"] }
        if name.hasPrefix("all_final_layer.2-1.") {
            return ["final_layer." + name.dropFirst("all_final_layer.2-1.".count)]
        }
        return []
    }

    /// What a file means by a name; strips up to three known prefixes, and never guesses where an
    /// underscore was a dot.
    func resolve(_ base: String) -> Target? {
        var candidates = [base]
        for _ in 0..<3 {
            for candidate in candidates {
                if let target = byName[candidate] { return target }
            }
            candidates = candidates.flatMap { candidate in
                Self.prefixes.filter { candidate.hasPrefix($0) }.map {
                    String(candidate.dropFirst($0.count))
                }
            }
        }
        return candidates.lazy.compactMap { byName[$0] }.first
    }
}
