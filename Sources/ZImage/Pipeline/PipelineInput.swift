// Part of Inkstone. Licence: see LICENSE.

public import Imaging

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// A LoRA file and its strength.
public struct LoRASource: Sendable, Equatable {
    /// The file.
    public var url: URL
    /// 1 applies the file as it was trained; 0 not at all; negative numbers the other way.
    public var scale: Double

    /// The file at `url` with the given strength.
    public init(url: URL, scale: Double = 1) {
        self.url = url
        self.scale = scale
    }

    /// A file's name as people say it: without its ending.
    package static func name(of file: Substring) -> String {
        let ending = ".safetensors"
        return String(file.hasSuffix(ending) ? file.dropLast(ending.count) : file)
    }
}

/// What one picture is made from.
public struct PipelineInput: Sendable {
    /// The text to draw, Chinese or English.
    public var prompt: String
    /// The text to lead away from; used with guidance only.
    public var negativePrompt = ""
    /// Columns of pixels, a multiple of 16.
    public var width: Int
    /// Rows of pixels, a multiple of 16.
    public var height: Int
    /// Evaluations of the transformer.
    public var steps: Int
    /// Guidance *g* in `positive + g (positive - negative)`; 0 is off.
    public var guidanceScale: Double
    /// Largest norm of the guided output as a multiple of the unguided; 0 is off.
    public var cfgNormalization = 0.0
    /// Guidance stops at times above this.
    public var cfgTruncation = 1.0
    /// Seed of the noise: the same picture as `torch.Generator("cpu").manual_seed(seed)` gives.
    public var seed: UInt64
    /// A picture to start from.
    public var source: RGBImage?
    /// Share of the schedule that is run on `source`.
    public var strength = 0.6
    /// Added beside the weights, in this order.
    public var loras: [LoRASource] = []
    /// White where `source` is drawn anew, black where it is kept; of any size.
    public var mask: RGBImage?
    /// Initial noise `[C, height / 8, width / 8]` instead of the seed's.
    package var noise: [Float]?
    /// Whether to keep tensors for a parity check.
    package var keepsTrace = false

    /// A picture of `prompt`.
    public init(
        prompt: String, width: Int, height: Int, steps: Int, guidanceScale: Double = 0,
        seed: UInt64 = 0
    ) {
        self.prompt = prompt
        self.width = width
        self.height = height
        self.steps = steps
        self.guidanceScale = guidanceScale
        self.seed = seed
    }
}
