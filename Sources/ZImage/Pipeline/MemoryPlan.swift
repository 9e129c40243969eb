// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
public import ModelFiles
package import Parameters
public import Tensors

/// The memory that a model needs.
public struct MemoryPlan: Sendable, Equatable {
    /// Numbers of the text encoder's layers that run, embeddings included.
    public let textEncoderParameters: Int
    /// Numbers of the transformer.
    public let transformerParameters: Int
    /// Numbers of the autoencoder.
    public let autoencoderParameters: Int
    /// Bytes of weights with a resident text encoder.
    public let residentBytes: Int
    /// Bytes of weights if the text encoder's layers are packed again for each new prompt.
    public let streamedBytes: Int
    /// Approximate bytes of activations at the model's default size.
    public let activationBytes: Int
    /// The same for two sequences, as an image with guidance has.
    let pairActivationBytes: Int
    /// Precision of products.
    let precision: Precision
    /// Layers of the text encoder that run.
    let textLayers: Int
    /// Bytes of the matrices of one of them.
    let textLayerBytes: Int
    /// Blocks of the transformer that run in each step for image and caption.
    let blocks: Int
    /// Bytes of the matrices of one of them.
    let blockBytes: Int
    /// Bytes on a device of its own for copies of weights that stay in the machine's memory: two slots, each for
    /// the largest matrix.
    let copyBytes: Int
    private let bytesPerToken: Int
    private let bytesPerPixel: Int

    /// Numbers of all components.
    public var parameterCount: Int {
        textEncoderParameters + transformerParameters + autoencoderParameters
    }

    /// Computes the plan from configurations and file headers.
    public init(model: ModelDirectory, precision: Precision) throws {
        func count(_ specs: [TensorSpec]) -> Int {
            specs.reduce(0) { $0 + $1.shape.reduce(1, *) }
        }
        let text = model.textEncoderConfig
        let feedForward = try model.feedForwardWidth()
        let transformer = TransformerSpec(model.transformerConfig, feedForward: feedForward)
        textEncoderParameters = count(text.tensorSpecs)
        transformerParameters = count(transformer.tensors)
        autoencoderParameters = count(model.autoencoderConfig.tensorSpecs)
        let width = precision.bytesPerWeight
        // Modulation stays in f32, the autoencoder in bf16 at least, with 16 numbers for each 9 of its
        // kernels; embeddings are read from the file.
        let modulation = transformer.blocks.compactMap(\.modulation)
            .reduce(0) { $0 + $1.inputs * $1.outputs }
        let image =
            transformerParameters * width + modulation * (4 - width)
            + autoencoderParameters * max(2, width) * 16 / 9
        let layers = textEncoderParameters - text.vocabularySize * text.hiddenSize
        residentBytes = image + layers * width
        streamedBytes = image + layers * width / max(1, text.usedLayers)
        self.precision = precision
        textLayers = text.usedLayers
        textLayerBytes = layers * width / max(1, text.usedLayers)
        blocks = transformer.layers.count
        blockBytes = transformer.layers.first?.weightBytes(width) ?? 0
        copyBytes =
            2
            * max(
                transformer.layers.first?.largestMatrixBytes(width) ?? 0,
                text.largestMatrixBytes(width))
        bytesPerToken = (model.transformerConfig.dim * 8 + feedForward) * 4
        bytesPerPixel = model.autoencoderConfig.decodedBytesPerPixel
        let size = model.manifest.defaults.size
        activationBytes = Self.activations(
            size.width, size.height, perToken: bytesPerToken, perPixel: bytesPerPixel)
        pairActivationBytes = Self.activations(
            size.width, size.height, perToken: 2 * bytesPerToken, perPixel: bytesPerPixel)
    }

    /// Returns the approximate bytes of activations of one image.
    package func activationBytes(width: Int, height: Int) -> Int {
        Self.activations(width, height, perToken: bytesPerToken, perPixel: bytesPerPixel)
    }

    /// Returns the approximate bytes of activations if `sequences` share a batch, each of the size that is `evaluated` at
    /// once (that of a tile, or of the image), and are decoded one after the other.
    func activationBytes(of size: PixelSize, evaluated: PixelSize, sequences: Int = 1) -> Int {
        max(
            Self.tokens(evaluated) * bytesPerToken * max(1, sequences),
            Self.decoding(size, perPixel: bytesPerPixel))
    }

    /// Returns the approximate bytes of activations of all passes of an image.
    package func activationBytes(of parameters: SamplingParameters, sequences: Int = 1) -> Int {
        let first = activationBytes(
            of: parameters.size, evaluated: parameters.size, sequences: sequences)
        guard let pass = parameters.secondPass else { return first }
        return max(
            first,
            activationBytes(of: pass.size, evaluated: pass.grid.tile, sequences: sequences))
    }

    /// Steps and decoding do not overlap.
    private static func activations(
        _ width: Int, _ height: Int, perToken: Int, perPixel: Int
    ) -> Int {
        let size = PixelSize(width: width, height: height)
        return max(tokens(size) * perToken, decoding(size, perPixel: perPixel))
    }

    private static func tokens(_ size: PixelSize) -> Int {
        (size.width / 16) * (size.height / 16) + 64
    }

    /// Above the tiling limit the decoder sees one tile at a time, beside three copies of the image in f32.
    private static func decoding(_ size: PixelSize, perPixel: Int) -> Int {
        let (pixels, limit) = (size.width * size.height, 64 * Tiling.limit)
        return min(pixels, limit) * perPixel + max(0, pixels - limit) * 36
    }

    /// Bytes that can be allocated without swapping, or `nil` if unknown.
    public static var availableBytes: Int? {
        var limits: [Int] = []
        if let text = try? String(contentsOf: URL(filePath: "/proc/meminfo"), encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
            let kilobytes = line.split(separator: " ").compactMap({ Int($0) }).first
        {
            limits.append(kilobytes * 1024)
        }
        // The limit of a container can be below the machine's memory.
        let group = "/sys/fs/cgroup/memory."
        if let limit = number(in: group + "max"), let used = number(in: group + "current") {
            // The page cache counts as used, but is reclaimed when memory is needed.
            let statistics =
                (try? String(contentsOf: URL(filePath: group + "stat"), encoding: .utf8))
            let files = (statistics ?? "").split(separator: "\n").reduce(0) { sum, line in
                let words = line.split(separator: " ")
                let isFile = words.first == "inactive_file" || words.first == "active_file"
                return sum + (isFile ? words.last.flatMap { Int($0) } ?? 0 : 0)
            }
            limits.append(max(0, limit - used + files))
        }
        return limits.min()
    }

    private static func number(in path: String) -> Int? {
        (try? String(contentsOf: URL(filePath: path), encoding: .utf8))
            .flatMap { Int($0.split(separator: "\n").first ?? "") }
    }
}

extension AutoencoderConfig {
    /// Bytes of activations while decoding, per pixel of the image.
    ///
    /// A residual block holds its input, whose memory its result takes, and the values between its two
    /// convolutions, all in f32; at the end there are three copies of the image.
    fileprivate var decodedBytesPerPixel: Int {
        let widths = blockOutChannels
        let levels = widths.indices.map { level in
            4 * (widths[min(level + 1, widths.count - 1)] + widths[level]) >> (2 * level)
        }
        return (levels.max() ?? 0) + 3 * 4 * outChannels
    }
}

/// There is not enough memory for a model or an image.
public struct MemoryError: Error, Sendable, CustomStringConvertible {
    /// Bytes needed.
    public let needed: Int
    /// Bytes available.
    public let available: Int
    /// What needs the memory.
    public let purpose: String
    /// Which memory it is.
    public let place: String

    init(needed: Int, available: Int, purpose: String, place: String = "memory") {
        self.needed = needed
        self.available = available
        self.purpose = purpose
        self.place = place
    }

    /// One sentence with both figures and what to do.
    public var description: String {
        return "\(purpose) needs about \(needed.gigabyteText) of \(place), but only"
            + " \(available.gigabyteText) are free; close other programs, choose a smaller size, or"
            + " use --precision int8."
    }
}
