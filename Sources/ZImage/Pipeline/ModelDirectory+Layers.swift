// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles

extension ModelDirectory {
    /// Returns the width of the feed-forward layers, read from the shape of a stored matrix.
    ///
    /// - Throws: `CheckpointError`.
    package func feedForwardWidth() throws -> Int {
        try transformerConfig.feedForwardWidth(in: try transformerStore())
    }

    /// Returns the layers of the transformer.
    ///
    /// - Throws: `CheckpointError`.
    package func transformerSpec() throws -> TransformerSpec {
        TransformerSpec(transformerConfig, feedForward: try feedForwardWidth())
    }

    /// Returns the linear layers of transformer and text encoder, all of which a LoRA can change.
    ///
    /// - Throws: `CheckpointError`.
    func linearLayers() throws -> [LinearSpec] {
        try transformerSpec().linears + TextEncoderSpec(textEncoderConfig).linears
    }

    /// Checks that every tensor of every component is there with the right shape.
    ///
    /// - Throws: `CheckpointError` that lists everything missing, unexpected or misshapen at once.
    package func checkTensors() throws {
        let text = TextEncoderSpec(textEncoderConfig)
        try textEncoderStore().validate(text.tensors, tolerating: text.tolerates)
        let transformer = try transformerSpec()
        try transformerStore().validate(transformer.tensors, tolerating: transformer.tolerates)
        try autoencoderStore().validate(AutoencoderSpec(autoencoderConfig).tensors)
    }
}

extension LoRATargets {
    /// The targets of a model's transformer and text encoder.
    ///
    /// - Throws: `CheckpointError`.
    package init(model: ModelDirectory) throws {
        let text = TextEncoderSpec(model.textEncoderConfig)
        self.init(try model.linearLayers(), unused: text.unused.linears)
    }
}
