// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles

extension TransformerConfig {
    /// Width of a head.
    package var headDim: Int { dim / heads }
    /// Width of the conditioning vector that modulates the blocks.
    package var conditioningWidth: Int { min(dim, 256) }
    /// Numbers of one image token: 2 x 2 latent pixels.
    package var patchWidth: Int { 4 * inChannels }
}

/// The layers of the transformer, under the names of the diffusers checkpoint.
package struct TransformerSpec: Sendable {
    /// Columns of the table of waves that a time becomes, sines and cosines.
    static let timeWaves = 256
    private static let timeHidden = 1024

    let imagePad: TensorSpec
    let captionPad: TensorSpec
    let imageEmbedder: LinearSpec
    let timeIn: LinearSpec
    let timeOut: LinearSpec
    let captionNorm: TensorSpec
    let captionEmbedder: LinearSpec
    let finalModulation: LinearSpec
    let finalLinear: LinearSpec
    let noiseRefiner: [TransformerBlockSpec]
    let contextRefiner: [TransformerBlockSpec]
    let layers: [TransformerBlockSpec]
    /// Names and shapes of all tensors.
    package let tensors: [TensorSpec]
    /// All linear layers.
    let linears: [LinearSpec]

    /// All blocks in the order of the checkpoint.
    package var blocks: [TransformerBlockSpec] { noiseRefiner + contextRefiner + layers }

    /// Declares the layers for the given sizes; small and sensitive layers are in f32 whatever the
    /// precision of the blocks.
    ///
    /// - Parameters:
    ///   - config: the sizes that `config.json` has.
    ///   - feedForward: width of the feed-forward layers; see `TransformerConfig.feedForwardWidth`.
    package init(_ config: TransformerConfig, feedForward: Int) {
        var builder = SpecBuilder()
        let dim = config.dim
        imagePad = builder.tensor("x_pad_token", [1, dim])
        captionPad = builder.tensor("cap_pad_token", [1, dim])
        imageEmbedder = builder.linear(
            "all_x_embedder.2-1", aliases: ["x_embedder"], inputs: config.patchWidth, outputs: dim,
            bias: true, accuracy: .full, stage: .step)
        timeIn = builder.linear(
            "t_embedder.mlp.0", inputs: Self.timeWaves, outputs: Self.timeHidden, bias: true,
            accuracy: .full, stage: .modulation)
        timeOut = builder.linear(
            "t_embedder.mlp.2", inputs: Self.timeHidden, outputs: config.conditioningWidth,
            bias: true, accuracy: .full, stage: .modulation)
        captionNorm = builder.norm("cap_embedder.0", config.captionWidth)
        captionEmbedder = builder.linear(
            "cap_embedder.1", inputs: config.captionWidth, outputs: dim, bias: true,
            accuracy: .full, stage: .caption)
        finalModulation = builder.linear(
            "all_final_layer.2-1.adaLN_modulation.1", aliases: ["final_layer.adaLN_modulation.1"],
            inputs: config.conditioningWidth, outputs: dim, bias: true, accuracy: .full,
            stage: .modulation)
        finalLinear = builder.linear(
            "all_final_layer.2-1.linear", aliases: ["final_layer.linear"], inputs: dim,
            outputs: config.patchWidth, bias: true, accuracy: .full, stage: .step)
        func blocks(_ list: String, _ count: Int, isModulated: Bool) -> [TransformerBlockSpec] {
            (0..<count).map {
                TransformerBlockSpec(
                    "\(list).\($0)", isModulated: isModulated, config: config,
                    feedForward: feedForward, in: &builder)
            }
        }
        noiseRefiner = blocks("noise_refiner", config.refinerLayers, isModulated: true)
        contextRefiner = blocks("context_refiner", config.refinerLayers, isModulated: false)
        layers = blocks("layers", config.layers, isModulated: true)
        tensors = builder.tensors
        linears = builder.linears
    }

    /// Whether a checkpoint may hold a tensor of this name that the transformer does not read.
    func tolerates(_ name: String) -> Bool { name == "norm_final.weight" }
}

// Operations for a share of a processor's peak: two for each multiply-add of products and attention.
// Norms, activations, embeddings and modulation are not counted.

extension TransformerSpec {
    /// Operations of the blocks that a caption of `tokens` tokens passes once for each prompt.
    func captionOperations(tokens: Int) -> Int {
        contextRefiner.reduce(0) { $0 + $1.operations(tokens: tokens, completed: tokens) }
    }

    /// Operations of one evaluation for one sequence.
    ///
    /// The last block computes keys and values alone for the caption's tokens.
    func stepOperations(imageTokens: Int, captionTokens: Int) -> Int {
        let tokens = imageTokens + captionTokens
        let refiner = noiseRefiner.reduce(0) {
            $0 + $1.operations(tokens: imageTokens, completed: imageTokens)
        }
        let joint = layers.dropLast().reduce(0) {
            $0 + $1.operations(tokens: tokens, completed: tokens)
        }
        return refiner + joint
            + (layers.last?.operations(tokens: tokens, completed: imageTokens) ?? 0)
    }
}

extension TransformerConfig {
    /// Names and shapes of all tensors.
    package func tensorSpecs(feedForward: Int) -> [TensorSpec] {
        TransformerSpec(self, feedForward: feedForward).tensors
    }

    /// Operations of one of the main blocks for a sequence.
    package func operations(tokens: Int, feedForward: Int) -> Int {
        let block = TransformerSpec(self, feedForward: feedForward).layers.first
        return block?.operations(tokens: tokens, completed: tokens) ?? 0
    }

    /// Operations of one evaluation; the caption's own blocks run once a prompt and are not in it.
    package func stepOperations(imageTokens: Int, captionTokens: Int, feedForward: Int) -> Int {
        TransformerSpec(self, feedForward: feedForward)
            .stepOperations(imageTokens: imageTokens, captionTokens: captionTokens)
    }

    /// Width of the feed-forward layers, read from the shape of a stored matrix: `config.json` does
    /// not have it, and implementations round it differently.
    ///
    /// - Throws: `CheckpointError` of code `missingTensor` or `badTensor`.
    func feedForwardWidth(in store: TensorStore) throws(CheckpointError) -> Int {
        var builder = SpecBuilder()
        let first = TransformerBlockSpec(
            refinerLayers > 0 ? "noise_refiner.0" : "layers.0", isModulated: true, config: self,
            feedForward: 0, in: &builder)
        let name = first.gateUp.weights[0]
        guard let tensor = store[name] else {
            throw CheckpointError(
                code: .missingTensor,
                message: "the transformer has no tensor '\(name)', from which the width of its"
                    + " feed-forward layers is read.",
                remedy: "Download the transformer folder again.")
        }
        guard tensor.shape.count == 2, tensor.shape[1] == dim,
            (1...1_048_576).contains(tensor.shape[0])
        else {
            throw CheckpointError(
                code: .badTensor,
                message: "tensor '\(name)' has shape \(tensor.shape), expected [width, \(dim)].",
                remedy: "Download the transformer folder again.")
        }
        return tensor.shape[0]
    }
}
