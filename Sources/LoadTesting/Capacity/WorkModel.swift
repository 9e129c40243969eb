// Part of Inkstone. Licence: see LICENSE.

/// Counts the floating point operations of an image.
///
/// A multiply-add counts as two. Products, convolutions and attention are counted; norms and
/// activations are not.
public struct WorkModel: Sendable, Equatable {
    /// Sizes of the transformer.
    public struct Transformer: Sendable, Equatable {
        /// Width of the model.
        public var dim: Int
        /// Width of the feed-forward layers.
        public var feedForward: Int
        /// Number of blocks.
        public var layers: Int
        /// Refiner blocks of the image tokens, and the same number of the caption tokens.
        public var refiners: Int
    }

    /// Sizes of the text encoder.
    public struct TextEncoder: Sendable, Equatable {
        /// Width of the model.
        public var hidden: Int
        /// Width of the feed-forward layers.
        public var intermediate: Int
        /// Number of layers that are evaluated.
        public var layers: Int
        /// Width of all query heads.
        public var queryWidth: Int
        /// Width of all key, and of all value heads.
        public var keyValueWidth: Int
    }

    /// Name of the model.
    public var name: String
    /// Sizes of the transformer.
    public var transformer: Transformer
    /// Sizes of the text encoder.
    public var textEncoder: TextEncoder
    /// Channels of the decoder's stages, the finest first.
    public var decoderChannels: [Int]
    /// Residual blocks of a stage, minus one.
    public var decoderLayers: Int
    /// Number of weights of transformer, text encoder and autoencoder.
    public var parameters: [Double]

    /// Z-Image-Turbo.
    public static let zImageTurbo = WorkModel(
        name: "Z-Image-Turbo",
        transformer: .init(dim: 3840, feedForward: 10_240, layers: 30, refiners: 2),
        textEncoder: .init(
            hidden: 2560, intermediate: 9728, layers: 35, queryWidth: 4096, keyValueWidth: 1024),
        decoderChannels: [128, 256, 512, 512], decoderLayers: 2,
        parameters: [6_154_908_736, 4_022_468_096, 83_819_683])

    /// The model embedded in Inkstone.
    public static let emojiNano = WorkModel(
        name: "emoji-nano",
        transformer: .init(dim: 288, feedForward: 768, layers: 5, refiners: 1),
        textEncoder: .init(
            hidden: 192, intermediate: 512, layers: 3, queryWidth: 256, keyValueWidth: 128),
        decoderChannels: [16, 32, 64, 96], decoderLayers: 1, parameters: [])

    /// The model of a name as servers report it; `nil` for an unknown one.
    public static func named(_ name: String) -> WorkModel? {
        let plain = name.lowercased().replacing("_", with: "-")
        if plain.contains("emoji-nano") { return emojiNano }
        return plain.contains("z-image") ? zImageTurbo : nil
    }

    /// Number of tokens of an image.
    public static func imageTokens(width: Int, height: Int) -> Int {
        padded(width / 16 * (height / 16))
    }

    /// Rounds up to a multiple of 32, as the model pads its sequences.
    static func padded(_ tokens: Int) -> Int { (tokens + 31) / 32 * 32 }

    /// Operations of one evaluation of the transformer: in total, and of attention.
    public func evaluation(
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
        // Embedders and final layer: 64 latent values a token, and the text encoder's width.
        let embedding = 4 * image * 64 * d + 2 * caption * Double(textEncoder.hidden) * d
        return (linear + attention + embedding, attention)
    }

    /// Operations of the text encoder on a prompt.
    public func textEncoding(tokens: Int = 64) -> Double {
        let n = Double(tokens)
        let weights =
            textEncoder.hidden * (2 * textEncoder.queryWidth + 2 * textEncoder.keyValueWidth)
            + 3 * textEncoder.hidden * textEncoder.intermediate
        return Double(textEncoder.layers)
            * (2 * n * Double(weights) + 4 * n * n * Double(textEncoder.queryWidth))
    }

    /// Operations of the autoencoder's decoder, from 16 latent channels of 1/8 of the size.
    public func decoding(width: Int, height: Int) -> Double {
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

    /// Operations of an image: text encoder, transformer and decoder.
    ///
    /// With guidance the transformer is evaluated twice in each step.
    public func operations(width: Int, height: Int, steps: Int, isGuided: Bool = false) -> Double {
        let passes = isGuided ? 2.0 : 1.0
        return passes * textEncoding()
            + passes * Double(steps) * evaluation(width: width, height: height).total
            + decoding(width: width, height: height)
    }

    /// Operations of the image that a request asks for.
    public func operations(_ request: RequestParameters) -> Double {
        operations(
            width: request.width, height: request.height, steps: request.fewestSteps,
            isGuided: request.guidance > 0)
    }
}
