// Part of Inkstone. Licence: see LICENSE.

/// The weights of a model that a LoRA can change, by every name that files use for them.
package struct LoRATargets: Sendable {
    /// One weight, or several that a file stores as one matrix.
    struct Target: Sendable, Equatable {
        /// Names of the stored weights.
        var tensors: [String]
        /// Output features of each.
        var rows: [Int]
        /// Input features.
        var depth: Int
        /// Whether the name is that of the diffusers layout.
        var isCanonical: Bool
        /// Whether the model runs it.
        var isUsed: Bool
    }

    private static let prefixes = [
        "base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.",
        "lora_unet__", "lora_unet_", "lora_transformer_", "lycoris_", "model.", "model_", "unet.",
        "module.", "pipe.", "dit.",
        "text_encoders.qwen3_4b.transformer.", "text_encoders.qwen3_4b.", "text_encoder.",
        "text_encoder_", "lora_te1_", "lora_te_",
    ]

    private var byName: [String: Target] = [:]

    /// The targets of the given layers.
    ///
    /// - Parameters:
    ///   - layers: the layers that run.
    ///   - unused: layers whose keys are known, but which do not run.
    init(_ layers: [LinearSpec], unused: [LinearSpec] = []) {
        for (list, isUsed) in [(unused, false), (layers, true)] {
            for layer in list {
                for part in layer.parts { add(part, of: layer, isUsed: isUsed) }
                // One matrix for queries, keys and values, as in the original layout.
                if let alias = layer.fusedAlias {
                    add(
                        alias,
                        Target(
                            tensors: layer.weights, rows: layer.parts.map(\.outputs),
                            depth: layer.inputs, isCanonical: false, isUsed: isUsed))
                }
            }
        }
    }

    private mutating func add(_ part: LinearSpec.Part, of layer: LinearSpec, isUsed: Bool) {
        var target = Target(
            tensors: [part.weight], rows: [part.outputs], depth: layer.inputs, isCanonical: true,
            isUsed: isUsed)
        add(part.name, target)
        target.isCanonical = false
        for alias in part.aliases { add(alias, target) }
    }

    private mutating func add(_ name: String, _ target: Target) {
        byName[name] = target
        byName[name.map { $0 == "." ? "_" : String($0) }.joined()] = target
    }

    /// What torch.compile adds to the names of the modules that it wraps, at any place.
    private static let compiled = ["_orig_mod.", "_orig_mod_"]

    /// Returns the target that a file's name stands for; strips up to three known prefixes and what torch.compile adds, and
    /// never guesses where an underscore was a dot.
    func resolve(_ base: String) -> Target? {
        var base = base
        for mark in Self.compiled where base.utf8.firstRange(of: mark.utf8) != nil {
            base = base.replacing(mark, with: "")
        }
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
