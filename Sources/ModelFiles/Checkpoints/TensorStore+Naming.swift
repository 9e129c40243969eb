// Part of Inkstone. Licence: see LICENSE.

import Basics

extension TensorStore {
    /// The tensors of one component, with the names of diffusers and transformers.
    ///
    /// Without a prefix all tensors are kept, so that unknown ones can be reported.
    ///
    /// - Throws: `CheckpointError` of code `unexpectedTensor` or `badTensor`.
    func named(as component: ModelComponent) throws(CheckpointError) -> TensorStore {
        let prefix = ModelComponent.found(in: names)[component] ?? ""
        var own = self
        // 'model.' is part of a text encoder's names, not the prefix of a joint file.
        if !prefix.isEmpty, component != .textEncoder || prefix != "model." {
            let outer =
                component == .textEncoder && prefix.hasSuffix(".model.")
                ? String(prefix.dropLast("model.".count)) : prefix
            own = try mapping { name, tensor in
                name.hasPrefix(outer) ? [tensor.renamed(String(name.dropFirst(outer.count)))] : []
            }
        }
        switch component {
        case .transformer: return try own.mapping(Self.transformerParts)
        case .textEncoder:
            guard own[TextNames.embedding] != nil else { return try own.strippingPrefix("model.") }
            return try own.mapping(TextNames.parts)
        case .autoencoder: return try AutoencoderNames(own).renamed(own)
        case .preview:
            // diffusers omits the clamp, the first layer of the original.
            return try own.mapping { name, tensor in
                let parts = name.split(separator: ".", maxSplits: 1)
                // None in a name of dots only.
                guard parts.count == 2, let index = Int(parts[0]), index > 0 else {
                    return [tensor]
                }
                return [tensor.renamed("decoder.layers.\(index - 1).\(parts[1])")]
            }
        }
    }

    // MARK: Transformer

    private static let transformerNames = [
        ("x_embedder.", "all_x_embedder.2-1."), ("final_layer.", "all_final_layer.2-1."),
    ]
    private static let attentionNames = [
        (".attention.out.weight", ".attention.to_out.0.weight"),
        (".attention.wo.weight", ".attention.to_out.0.weight"),
        (".attention.q_norm.weight", ".attention.norm_q.weight"),
        (".attention.k_norm.weight", ".attention.norm_k.weight"),
    ]

    /// Converts names of the authors' code, ComfyUI and GGUF files.
    private static func transformerParts(
        _ name: String, _ tensor: StoredTensor
    ) throws(CheckpointError) -> [StoredTensor] {
        let fused = ".attention.qkv.weight"
        if name.hasSuffix(fused) {
            guard tensor.shape.count == 2, let rows = tensor.shape.first, rows.isMultiple(of: 3)
            else {
                throw CheckpointError(
                    code: .badTensor,
                    message: "tensor \(name.quoted) has the shape \(tensor.shape), expected three"
                        + " matrices one below the other.",
                    remedy: "Download the file again.")
            }
            let block = name.dropLast("qkv.weight".count)
            return ["to_q", "to_k", "to_v"].enumerated().map { index, part in
                tensor.rows(
                    (rows / 3 * index)..<(rows / 3 * (index + 1)), named: "\(block)\(part).weight")
            }
        }
        for (native, own) in transformerNames where name.hasPrefix(native) {
            return [tensor.renamed(own + name.dropFirst(native.count))]
        }
        for (native, own) in attentionNames where name.hasSuffix(native) {
            return [tensor.renamed(String(name.dropLast(native.count)) + own)]
        }
        // GGUF files omit a leading dimension of 1.
        if name == "x_pad_token" || name == "cap_pad_token", tensor.shape.count == 1 {
            return [tensor.renamed(name, shape: [1] + tensor.shape)]
        }
        return [tensor]
    }
}

/// Names of a text encoder in GGUF files.
private enum TextNames {
    static let embedding = "token_embd.weight"

    private static let layers = [
        "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    ]

    static func parts(
        _ name: String, _ tensor: StoredTensor
    ) throws(CheckpointError) -> [StoredTensor] {
        switch name {
        case embedding: return [tensor.renamed("embed_tokens.weight")]
        case "output_norm.weight": return [tensor.renamed("norm.weight")]
        case "output.weight": return [tensor.renamed("lm_head.weight")]
        default: break
        }
        let words = name.split(separator: ".")
        guard words.count == 4, words[0] == "blk", words[3] == "weight",
            let part = layers[String(words[2])]
        else { return [tensor] }
        return [tensor.renamed("layers.\(words[1]).\(part).weight")]
    }
}
