// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles

/// The layers of both halves of the autoencoder, under the names of the diffusers checkpoint.
struct AutoencoderSpec: Sendable {
    let encoder: PixelEncoderSpec
    let decoder: LatentDecoderSpec
    /// Names and shapes of all tensors.
    let tensors: [TensorSpec]

    /// Declares the layers for the given sizes.
    init(_ config: AutoencoderConfig) {
        var builder = SpecBuilder()
        encoder = PixelEncoderSpec(config, in: &builder)
        decoder = LatentDecoderSpec(config, in: &builder)
        tensors = builder.tensors
    }
}

extension AutoencoderConfig {
    /// Image pixels along one side of a latent pixel.
    package var scale: Int { 1 << (blockOutChannels.count - 1) }

    /// Names and shapes of all tensors of encoder and decoder.
    package var tensorSpecs: [TensorSpec] { AutoencoderSpec(self).tensors }

    /// Operations of decoding latents of `height` x `width`.
    ///
    /// Two for each multiply-add of convolutions, products and attention. A convolution counts as nine
    /// products for each pixel, of which a device may need fewer: the decoder's share of a peak may be
    /// above 1.
    package func decodeOperations(height: Int, width: Int) -> Int {
        AutoencoderSpec(self).decoder.operations(latentPixels: height * width)
    }
}
