// Part of Inkstone. Licence: see LICENSE.

/// What an image is sampled from: everything that decides its pixels, but for the pixels of a source
/// image and its mask, which travel beside it.
///
/// The command line, every dialect, workers, job rows and messages of a fleet embed this one type.
///
/// A new parameter is declared here and in ``Draft``, gets a value that stands for its absence, and is
/// read by ``init(from:)``; values that an older reader would ignore raise ``requiredVersion``.
public struct SamplingParameters: Sendable, Equatable {
    /// The text to show, Chinese or English.
    public var prompt: String
    /// The text to lead away from; used with guidance only.
    public var negativePrompt = ""
    /// Columns and rows of pixels.
    public var size: PixelSize
    /// Steps of the schedule; samplers of the second order evaluate the transformer twice in each but the last.
    public var steps: Int
    /// Guidance *g* in `positive + g (positive - negative)`; 0 is off.
    public var guidanceScale = 0.0
    /// Largest norm of the guided output as a multiple of the unguided one's; 0 is off.
    public var cfgNormalization = 0.0
    /// Guidance stops where `1 - sigma` exceeds this.
    public var cfgTruncation = 1.0
    /// Seed of the noise: the same noise as `torch.Generator("cpu").manual_seed(seed)` gives.
    public var seed: UInt64 = 0
    /// Share of the schedule that is run on a source image, above 0 and at most 1; `nil` without one.
    public var strength: Double?
    /// LoRA files by name, added in this order.
    public var loras: [LoRAScale] = []
    /// How the image is computed from the model's outputs, and at which noise levels.
    public var sampling = SamplingMethod()
    /// What beside the seed decides the noise.
    public var seeds = SeedChoices()
    /// A second pass in a larger size.
    public var secondPass: SecondPass?

    /// ControlNets with their maps, each of which adds its hints.
    public var controls: [ControlParameters] = []

    /// Parameters of the given content; the others have the values that turn them off.
    public init(prompt: String, size: PixelSize, steps: Int) {
        self.prompt = prompt
        self.size = size
        self.steps = steps
    }
}

// MARK: - JSON

extension SamplingParameters: Codable {
    /// Version of the JSON format that this program reads and writes.
    public static let formatVersion = 3

    /// The oldest format version whose readers honour every field of these parameters.
    ///
    /// It is written as `version`. Programs of different versions work together as long as requests
    /// use what both know, and a reader never ignores a field in silence.
    public var requiredVersion: Int {
        // Earlier versions make every evaluation, those of a second pass as a whole, and know two rules of strength.
        if secondPass?.tiles != nil || sampling.strengthRule == .noiseLevel
            || sampling.cacheThreshold != nil
        {
            return 3
        }
        return sampling == SamplingMethod() && seeds == SeedChoices() && secondPass == nil
            && controls.isEmpty ? 1 : 2
    }

    private enum CodingKeys: String, CodingKey {
        case version, prompt, negativePrompt, size, width, height, steps, guidanceScale
        case cfgNormalization, cfgTruncation, seed, strength, loras, hires, controls
    }

    /// Reads parameters that were checked before they were written.
    ///
    /// Absent fields have the values from before they existed; `width` and `height` stand for a size
    /// that is absent.
    ///
    /// - Throws: `DecodingError`, also for parameters that need a newer version.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let version = try fields.decodeIfPresent(Int.self, forKey: .version) ?? 1
        guard version <= Self.formatVersion else {
            throw DecodingError.dataCorruptedError(
                forKey: .version, in: fields,
                debugDescription: "the request needs version \(version) of the format, this program"
                    + " reads versions up to \(Self.formatVersion); update it")
        }
        let size = try fields.decodeIfPresent(PixelSize.self, forKey: .size)
        self.init(
            prompt: try fields.decode(String.self, forKey: .prompt),
            size: try size
                ?? PixelSize(
                    width: fields.decode(Int.self, forKey: .width),
                    height: fields.decode(Int.self, forKey: .height)),
            steps: try fields.decode(Int.self, forKey: .steps))
        negativePrompt = try fields.decode(String.self, forKey: .negativePrompt)
        guidanceScale = try fields.decode(Double.self, forKey: .guidanceScale)
        cfgNormalization = try fields.decode(Double.self, forKey: .cfgNormalization)
        cfgTruncation = try fields.decode(Double.self, forKey: .cfgTruncation)
        seed = try fields.decode(UInt64.self, forKey: .seed)
        strength = try fields.decodeIfPresent(Double.self, forKey: .strength)
        loras = try fields.decodeIfPresent([LoRAScale].self, forKey: .loras) ?? []
        sampling = try SamplingMethod(from: decoder)
        seeds = try SeedChoices(from: decoder)
        secondPass = try fields.decodeIfPresent(SecondPass.self, forKey: .hires)
        controls = try fields.decodeIfPresent([ControlParameters].self, forKey: .controls) ?? []
    }

    /// Writes every field, and the version that its reader needs.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(requiredVersion, forKey: .version)
        try fields.encode(size, forKey: .size)
        try encodeValues(to: encoder)
    }

    /// Writes every field but the size and the version, into an object of other fields.
    package func encodeValues(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(prompt, forKey: .prompt)
        try fields.encode(negativePrompt, forKey: .negativePrompt)
        try fields.encode(steps, forKey: .steps)
        try fields.encode(guidanceScale, forKey: .guidanceScale)
        try fields.encode(cfgNormalization, forKey: .cfgNormalization)
        try fields.encode(cfgTruncation, forKey: .cfgTruncation)
        try fields.encode(seed, forKey: .seed)
        try fields.encodeIfPresent(strength, forKey: .strength)
        try fields.encode(loras, forKey: .loras)
        try sampling.encode(to: encoder)
        try seeds.encode(to: encoder)
        try fields.encodeIfPresent(secondPass, forKey: .hires)
        if !controls.isEmpty { try fields.encode(controls, forKey: .controls) }
    }
}
