// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles

extension ModelDirectory {
    /// Width of the feed-forward layers, read from the file: configs do not say it.
    package func feedForwardWidth() throws -> Int {
        let name =
            (transformerConfig.blockNames.first ?? "layers.0") + ".feed_forward.w1.weight"
        guard let tensor = try transformerStore()[name] else {
            throw CheckpointError(
                code: .missingTensor,
                message: "the transformer has no tensor '\(name)', from which the width of its"
                    + " feed-forward layers is read.",
                remedy: "Download the transformer folder again.")
        }
        guard tensor.shape.count == 2, tensor.shape[1] == transformerConfig.dim,
            (1...1_048_576).contains(tensor.shape[0])
        else {
            throw CheckpointError(
                code: .badTensor,
                message: "tensor '\(name)' has shape \(tensor.shape), expected [width,"
                    + " \(transformerConfig.dim)].",
                remedy: "Download the transformer folder again.")
        }
        return tensor.shape[0]
    }

    /// Checks that every tensor of every part is there with the right shape.
    ///
    /// - Throws: `CheckpointError` that lists everything missing, unexpected or misshapen at once.
    package func checkTensors() throws {
        let text = textEncoderConfig
        try textEncoderStore().validate(text.tensorSpecs) { text.tolerates($0) }
        let width = try feedForwardWidth()
        try transformerStore().validate(transformerConfig.tensorSpecs(feedForward: width)) {
            $0 == "norm_final.weight"
        }
        try autoencoderStore().validate(autoencoderConfig.tensorSpecs) { _ in false }
    }
}

extension ModelLayer {
    /// All products of a model.
    package static func all(of model: ModelDirectory) -> [ModelLayer] {
        model.transformerConfig.productLayers + model.textEncoderConfig.productLayers
    }
}

extension LoRATargets {
    /// The targets of a model's transformer and text encoder.
    package init(model: ModelDirectory) throws {
        let transformer = model.transformerConfig.tensorSpecs(
            feedForward: try model.feedForwardWidth())
        self.init(
            transformer: transformer, textEncoder: model.textEncoderConfig.tensorSpecs,
            unusedPrefix: "layers.\(model.textEncoderConfig.hiddenLayers - 1).")
    }
}
