// Part of Inkstone. Licence: see LICENSE.

package import Foundation
package import ModelFiles

/// A model of the released size with random weights, for timing without its files.
package enum RandomModel: String, Sendable, CaseIterable {
    /// 6 billion numbers in the transformer, 4 billion in the text encoder.
    case zImageTurbo = "z-image-turbo"

    /// Width of the transformer's feed-forward layers.
    private static let feedForward = 10_240

    /// Creates the model; it uses the tokenizer in `folder`, whose vocabulary must be smaller.
    ///
    /// Tests can leave out blocks of the transformer and layers of the text encoder; all widths are the released ones.
    package func directory(
        tokenizerOf folder: URL, blocks: Int = 30, textLayers: Int = 36
    ) throws -> ModelDirectory {
        let transformer = TransformerConfig(layers: blocks, axesLengths: [1536, 512, 512])
        let text = TextEncoderConfig(
            hiddenSize: 2560, intermediateSize: 9728, hiddenLayers: textLayers, attentionHeads: 32,
            keyValueHeads: 8, ropeTheta: 1_000_000, maxPositions: 40_960)
        let autoencoder = AutoencoderConfig(
            latentChannels: 16, blockOutChannels: [128, 256, 512, 512], layersPerBlock: 2,
            sampleSize: 1024, scalingFactor: 0.3611, shiftFactor: 0.1159, useQuantConv: false,
            usePostQuantConv: false)
        return try ModelDirectory(
            url: folder,
            manifest: ModelManifest(kind: .turbo, id: "random-\(rawValue)", latentChannels: 16),
            transformer: (
                transformer, try .random(transformer.tensorSpecs(feedForward: Self.feedForward))
            ),
            textEncoder: (text, try .random(text.tensorSpecs)),
            autoencoder: (autoencoder, try .random(autoencoder.tensorSpecs)), scheduler: .turbo)
    }
}
