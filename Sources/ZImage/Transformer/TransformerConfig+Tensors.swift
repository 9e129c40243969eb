// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
import Tensors

extension TransformerConfig {
    /// Width of a head.
    package var headDim: Int { dim / heads }
    /// Width of the conditioning vector that modulates the blocks.
    package var conditioningWidth: Int { min(dim, 256) }
    /// Numbers of one image token: 2 x 2 latent pixels.
    package var patchWidth: Int { 4 * inChannels }

    /// Names and shapes of all tensors; `feedForward` is read from the file, since code bases round
    /// it differently.
    package func tensorSpecs(feedForward: Int) -> [TensorSpec] {
        let conditioning = conditioningWidth
        var specs = [
            TensorSpec("x_pad_token", [1, dim]),
            TensorSpec("cap_pad_token", [1, dim]),
            TensorSpec("all_x_embedder.2-1.weight", [dim, patchWidth]),
            TensorSpec("all_x_embedder.2-1.bias", [dim]),
            TensorSpec("t_embedder.mlp.0.weight", [1024, 256]),
            TensorSpec("t_embedder.mlp.0.bias", [1024]),
            TensorSpec("t_embedder.mlp.2.weight", [conditioning, 1024]),
            TensorSpec("t_embedder.mlp.2.bias", [conditioning]),
            TensorSpec("cap_embedder.0.weight", [captionWidth]),
            TensorSpec("cap_embedder.1.weight", [dim, captionWidth]),
            TensorSpec("cap_embedder.1.bias", [dim]),
            TensorSpec("all_final_layer.2-1.adaLN_modulation.1.weight", [dim, conditioning]),
            TensorSpec("all_final_layer.2-1.adaLN_modulation.1.bias", [dim]),
            TensorSpec("all_final_layer.2-1.linear.weight", [patchWidth, dim]),
            TensorSpec("all_final_layer.2-1.linear.bias", [patchWidth]),
        ]
        for name in blockNames {
            for norm in ["attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"] {
                specs.append(TensorSpec("\(name).\(norm).weight", [dim]))
            }
            for product in ["to_q", "to_k", "to_v", "to_out.0"] {
                specs.append(TensorSpec("\(name).attention.\(product).weight", [dim, dim]))
            }
            for norm in ["norm_q", "norm_k"] {
                specs.append(TensorSpec("\(name).attention.\(norm).weight", [headDim]))
            }
            specs += [
                TensorSpec("\(name).feed_forward.w1.weight", [feedForward, dim]),
                TensorSpec("\(name).feed_forward.w2.weight", [dim, feedForward]),
                TensorSpec("\(name).feed_forward.w3.weight", [feedForward, dim]),
            ]
            if !name.hasPrefix("context_refiner") {
                specs += [
                    TensorSpec("\(name).adaLN_modulation.0.weight", [4 * dim, conditioning]),
                    TensorSpec("\(name).adaLN_modulation.0.bias", [4 * dim]),
                ]
            }
        }
        return specs
    }

    /// Names of all blocks, such as `layers.3`.
    package var blockNames: [String] {
        (0..<refinerLayers).map { "noise_refiner.\($0)" }
            + (0..<refinerLayers).map { "context_refiner.\($0)" }
            + (0..<layers).map { "layers.\($0)" }
    }
}

extension TransformerConfig {
    /// Products of the transformer, as `Transformer` and `TransformerBlock` make them.
    var productLayers: [ModelLayer] {
        var layers = [
            ModelLayer(["t_embedder.mlp.0"], isSensitive: true, use: .modulation),
            ModelLayer(["t_embedder.mlp.2"], isSensitive: true, use: .modulation),
            ModelLayer(
                ["all_final_layer.2-1.adaLN_modulation.1"], isSensitive: true, use: .modulation),
            ModelLayer(["cap_embedder.1"], isSensitive: true, use: .caption),
            ModelLayer(["all_x_embedder.2-1"], isSensitive: true, use: .step),
            ModelLayer(["all_final_layer.2-1.linear"], isSensitive: true, use: .step),
        ]
        for name in blockNames {
            let isContext = name.hasPrefix("context_refiner")
            let use: ModelLayer.Use = isContext ? .caption : .step
            layers += [
                ModelLayer(["to_q", "to_k", "to_v"].map { "\(name).attention.\($0)" }, use: use),
                ModelLayer(["\(name).attention.to_out.0"], use: use),
                ModelLayer(
                    ["\(name).feed_forward.w1", "\(name).feed_forward.w3"], layout: .gated,
                    use: use),
                ModelLayer(["\(name).feed_forward.w2"], use: use),
            ]
            if !isContext {
                layers.append(
                    ModelLayer(["\(name).adaLN_modulation.0"], isSensitive: true, use: .modulation))
            }
        }
        return layers
    }
}
