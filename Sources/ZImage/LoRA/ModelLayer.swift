// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
package import Tensors

/// A product of the model and the stored weights that it is made of.
package struct ModelLayer: Sendable {
    /// What depends on the layer beside the latents.
    enum Use: Sendable {
        /// What is made of a prompt once.
        case caption
        /// What is made of a time once.
        case modulation
        /// Neither.
        case step
    }

    /// Name of the first weight, without `.weight`; names of both components differ.
    package let key: String
    /// Stored weights, one below the other.
    package let tensors: [String]
    package let layout: MatrixSource.Layout
    /// Whether the layer is in f32 whatever the precision.
    package let isSensitive: Bool
    let use: Use

    init(
        _ modules: [String], layout: MatrixSource.Layout = .stacked, isSensitive: Bool = false,
        use: Use
    ) {
        key = modules[0]
        tensors = modules.map { $0 + ".weight" }
        self.layout = layout
        self.isSensitive = isSensitive
        self.use = use
    }

    /// All products of a model.
    package static func all(of model: ModelDirectory) -> [ModelLayer] {
        model.transformerConfig.productLayers + model.textEncoderConfig.productLayers
    }
}

extension TransformerConfig {
    /// Products of the transformer, as `Transformer` and `TransformerBlock` make them.
    fileprivate var productLayers: [ModelLayer] {
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

extension TextEncoderConfig {
    /// Products of the text encoder, as `TextEncoder` makes them.
    fileprivate var productLayers: [ModelLayer] {
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
