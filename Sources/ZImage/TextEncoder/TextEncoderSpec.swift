// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
import Tensors

/// The layers of the text encoder, under the names of the transformers checkpoint without `model.`.
package struct TextEncoderSpec: Sendable {
    let embeddings: TensorSpec
    /// The layers that run: the features are the output of the last layer but one.
    let layers: [TextEncoderLayerSpec]
    /// The last layer, which a checkpoint may hold and which does not run.
    let unused: TextEncoderLayerSpec
    /// Names and shapes of the tensors that the encoder reads.
    package let tensors: [TensorSpec]
    /// All linear layers that run.
    let linears: [LinearSpec]

    /// Declares the layers for the given sizes.
    package init(_ config: TextEncoderConfig) {
        var builder = SpecBuilder()
        embeddings = builder.tensor(
            "embed_tokens.weight", [config.vocabularySize, config.hiddenSize])
        layers = (0..<config.usedLayers).map {
            TextEncoderLayerSpec("layers.\($0)", config: config, in: &builder)
        }
        tensors = builder.tensors
        linears = builder.linears
        unused = TextEncoderLayerSpec(
            "layers.\(config.hiddenLayers - 1)", config: config, in: &builder)
    }

    /// Whether a checkpoint may hold a tensor of this name that the encoder does not read.
    func tolerates(_ name: String) -> Bool {
        name == "norm.weight" || name == "lm_head.weight" || name.hasPrefix(unused.name + ".")
    }
}

/// The layers of one layer of the text encoder.
struct TextEncoderLayerSpec: Sendable {
    /// Name of the layer, such as `layers.3`.
    let name: String
    let inputNorm: TensorSpec
    let postNorm: TensorSpec
    let queryNorm: TensorSpec
    let keyNorm: TensorSpec
    let qkv: LinearSpec
    let output: LinearSpec
    let gateUp: LinearSpec
    let down: LinearSpec

    init(_ name: String, config: TextEncoderConfig, in builder: inout SpecBuilder) {
        let (width, inner) = (config.hiddenSize, config.intermediateSize)
        let queries = config.attentionHeads * config.headDim
        let keys = config.keyValueHeads * config.headDim
        self.name = name
        inputNorm = builder.norm("\(name).input_layernorm", width)
        postNorm = builder.norm("\(name).post_attention_layernorm", width)
        let attention = "\(name).self_attn"
        qkv = builder.linear(
            [
                "\(attention).q_proj": queries, "\(attention).k_proj": keys,
                "\(attention).v_proj": keys,
            ], inputs: width, stage: .caption)
        output = builder.linear(
            "\(attention).o_proj", inputs: queries, outputs: width, stage: .caption)
        queryNorm = builder.norm("\(attention).q_norm", config.headDim)
        keyNorm = builder.norm("\(attention).k_norm", config.headDim)
        gateUp = builder.linear(
            ["\(name).mlp.gate_proj": inner, "\(name).mlp.up_proj": inner], inputs: width,
            layout: .gated, stage: .caption)
        down = builder.linear(
            "\(name).mlp.down_proj", inputs: inner, outputs: width, stage: .caption)
    }

    /// All linear layers.
    var linears: [LinearSpec] { [qkv, output, gateUp, down] }

    /// Operations for one prompt: two for each multiply-add of products and attention, in which a
    /// token sees half of the others.
    func operations(tokens: Int) -> Int {
        let products = linears.reduce(0) { $0 + $1.operations }
        return tokens * products + 2 * tokens * tokens * output.inputs
    }
}

extension TextEncoderConfig {
    /// Layers that run: the features are the output of the last layer but one.
    package var usedLayers: Int { hiddenLayers - 1 }

    /// Bytes of a layer's largest matrix with the scales of its rows.
    func largestMatrixBytes(_ width: Int) -> Int {
        TextEncoderSpec(self).layers.first?.linears.map { $0.bytes(width) }.max() ?? 0
    }

    /// Names and shapes of the tensors that the encoder reads.
    package var tensorSpecs: [TensorSpec] { TextEncoderSpec(self).tensors }

    /// Operations of the layers that run, for one prompt.
    package func operations(tokens: Int) -> Int {
        TextEncoderSpec(self).layers.reduce(0) { $0 + $1.operations(tokens: tokens) }
    }
}
