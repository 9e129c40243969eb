// Part of Inkstone. Licence: see LICENSE.

/// The arithmetic of an image: two operations a multiply-add, of products, convolutions and
/// attention; norms and activations are left out.
package struct WorkModel: Sendable, Equatable {
    /// Sizes of the transformer.
    package struct Transformer: Sendable, Equatable {
        package var dim: Int
        package var feedForward: Int
        package var layers: Int
        /// Blocks on the image's tokens, and the same number on the caption's.
        package var refiners: Int
    }

    /// Sizes of the text encoder, of the layers that run.
    package struct TextEncoder: Sendable, Equatable {
        package var hidden: Int
        package var intermediate: Int
        package var layers: Int
        package var queryWidth: Int
        package var keyValueWidth: Int
    }

    package var name: String
    package var transformer: Transformer
    package var textEncoder: TextEncoder
    /// Channels of the decoder's stages, the finest first.
    package var decoderChannels: [Int]
    /// Residual blocks a stage, but one.
    package var decoderLayers: Int
    /// Weights of transformer, text encoder and autoencoder.
    package var parameters: [Double]

    package static let zImageTurbo = WorkModel(
        name: "Z-Image-Turbo",
        transformer: .init(dim: 3840, feedForward: 10_240, layers: 30, refiners: 2),
        textEncoder: .init(
            hidden: 2560, intermediate: 9728, layers: 35, queryWidth: 4096, keyValueWidth: 1024),
        decoderChannels: [128, 256, 512, 512], decoderLayers: 2,
        parameters: [6_154_908_736, 4_022_468_096, 83_819_683])

    package static let emojiNano = WorkModel(
        name: "emoji-nano",
        transformer: .init(dim: 288, feedForward: 768, layers: 5, refiners: 1),
        textEncoder: .init(
            hidden: 192, intermediate: 512, layers: 3, queryWidth: 256, keyValueWidth: 128),
        decoderChannels: [16, 32, 64, 96], decoderLayers: 1, parameters: [])

    /// The model of a name as servers tell it; `nil` for an unknown one.
    package static func named(_ name: String) -> WorkModel? {
        let plain = name.lowercased().replacing("_", with: "-")
        if plain.contains("emoji-nano") { return emojiNano }
        return plain.contains("z-image") ? zImageTurbo : nil
    }

    /// Tokens of an image.
    package static func imageTokens(width: Int, height: Int) -> Int {
        padded(width / 16 * (height / 16))
    }

    /// Up to the next multiple of 32, as the model pads its sequences.
    static func padded(_ tokens: Int) -> Int { (tokens + 31) / 32 * 32 }

    /// One evaluation of the transformer: all of it, attention only.
    package func evaluation(
        width: Int, height: Int, captionTokens: Int = 64
    ) -> (total: Double, attention: Double) {
        let image = Double(Self.imageTokens(width: width, height: height))
        let caption = Double(Self.padded(captionTokens))
        let (d, f) = (Double(transformer.dim), Double(transformer.feedForward))
        let (blocks, refiners) = (Double(transformer.layers), Double(transformer.refiners))
        let joint = image + caption
        let attention =
            4 * d * (blocks * joint * joint + refiners * (image * image + caption * caption))
        let linear = (8 * d * d + 6 * d * f) * (blocks * joint + refiners * joint)
        // Into the blocks and out of them: 64 latent values a token, and the text encoder's width.
        let embedding = 4 * image * 64 * d + 2 * caption * Double(textEncoder.hidden) * d
        return (linear + attention + embedding, attention)
    }

    /// The text encoder on a prompt.
    package func textEncoding(tokens: Int = 64) -> Double {
        let n = Double(tokens)
        let weights =
            textEncoder.hidden * (2 * textEncoder.queryWidth + 2 * textEncoder.keyValueWidth)
            + 3 * textEncoder.hidden * textEncoder.intermediate
        return Double(textEncoder.layers)
            * (2 * n * Double(weights) + 4 * n * n * Double(textEncoder.queryWidth))
    }

    /// The autoencoder's decoder; 16 latent channels, a side of 1/8.
    package func decoding(width: Int, height: Int) -> Double {
        var pixels = Double(width / 8 * (height / 8))
        var total = 0.0
        func convolve(_ input: Int, _ output: Int, taps: Double = 9) {
            total += 2 * pixels * Double(input) * Double(output) * taps
        }
        func block(_ input: Int, _ output: Int) {
            convolve(input, output)
            convolve(output, output)
            if input != output { convolve(input, output, taps: 1) }
        }
        guard let coarsest = decoderChannels.last, let finest = decoderChannels.first else {
            return 0
        }
        convolve(16, coarsest)
        block(coarsest, coarsest)
        block(coarsest, coarsest)
        for _ in 0..<4 { convolve(coarsest, coarsest, taps: 1) }
        total += 4 * pixels * pixels * Double(coarsest)
        var channels = coarsest
        for (stage, output) in decoderChannels.reversed().enumerated() {
            for _ in 0...decoderLayers {
                block(channels, output)
                channels = output
            }
            if stage + 1 < decoderChannels.count {
                pixels *= 4
                convolve(channels, channels)
            }
        }
        convolve(finest, 3)
        return total
    }

    /// A whole image: text, evaluations of each step, decoding.
    ///
    /// Guidance evaluates twice a step.
    package func operations(width: Int, height: Int, steps: Int, isGuided: Bool = false) -> Double {
        let passes = isGuided ? 2.0 : 1.0
        return passes * textEncoding()
            + passes * Double(steps) * evaluation(width: width, height: height).total
            + decoding(width: width, height: height)
    }

    /// The image that a request asks for.
    package func operations(_ request: RequestParameters) -> Double {
        operations(
            width: request.width, height: request.height, steps: request.steps,
            isGuided: request.guidance > 0)
    }
}
