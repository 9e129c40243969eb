// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
import Tensors

extension TextEncoderConfig {
    /// Layers that run: the features are what the last layer but one puts out.
    package var usedLayers: Int { hiddenLayers - 1 }

    /// Names and shapes of the tensors that the encoder reads, without the `model.` prefix.
    package var tensorSpecs: [TensorSpec] {
        let queries = attentionHeads * headDim
        let keys = keyValueHeads * headDim
        var specs = [TensorSpec("embed_tokens.weight", [vocabularySize, hiddenSize])]
        for layer in 0..<usedLayers {
            let prefix = "layers.\(layer)."
            specs += [
                TensorSpec(prefix + "input_layernorm.weight", [hiddenSize]),
                TensorSpec(prefix + "post_attention_layernorm.weight", [hiddenSize]),
                TensorSpec(prefix + "self_attn.q_proj.weight", [queries, hiddenSize]),
                TensorSpec(prefix + "self_attn.k_proj.weight", [keys, hiddenSize]),
                TensorSpec(prefix + "self_attn.v_proj.weight", [keys, hiddenSize]),
                TensorSpec(prefix + "self_attn.o_proj.weight", [hiddenSize, queries]),
                TensorSpec(prefix + "self_attn.q_norm.weight", [headDim]),
                TensorSpec(prefix + "self_attn.k_norm.weight", [headDim]),
                TensorSpec(prefix + "mlp.gate_proj.weight", [intermediateSize, hiddenSize]),
                TensorSpec(prefix + "mlp.up_proj.weight", [intermediateSize, hiddenSize]),
                TensorSpec(prefix + "mlp.down_proj.weight", [hiddenSize, intermediateSize]),
            ]
        }
        return specs
    }

    /// Whether a checkpoint may hold a tensor of this name that the encoder does not read.
    package func tolerates(_ name: String) -> Bool {
        name == "norm.weight" || name == "lm_head.weight"
            || name.hasPrefix("layers.\(hiddenLayers - 1).")
    }
}

extension TextEncoderConfig {
    /// Products of the text encoder, as `TextEncoder` makes them.
    var productLayers: [ModelLayer] {
        (0..<usedLayers).flatMap { index in
            let attention = "layers.\(index).self_attn."
            let mlp = "layers.\(index).mlp."
            return [
                ModelLayer(
                    ["q_proj", "k_proj", "v_proj"].map { attention + $0 }, use: .caption),
                ModelLayer([attention + "o_proj"], use: .caption),
                ModelLayer(
                    [mlp + "gate_proj", mlp + "up_proj"], layout: .gated, use: .caption),
                ModelLayer([mlp + "down_proj"], use: .caption),
            ]
        }
    }
}
