// Part of Inkstone. Licence: see LICENSE.

/// Another seed whose noise is mixed into that of an image.
///
/// With one, all images of a request have the request's seed, and image *i* mixes in `seed + i`, as A1111 does.
public struct SeedVariation: Sendable, Codable, Equatable {
    /// The other seed.
    public var seed: UInt64
    /// Share of the other seed's noise, above 0 and at most 1.
    public var strength: Double

    /// Mixes in a seed.
    public init(seed: UInt64, strength: Double) {
        self.seed = seed
        self.strength = strength
    }
}

/// Noise on the features of the prompt in the first part of the schedule, so that seeds give images that differ more.
///
/// - Source: the ComfyUI node SeedVarianceEnhancer 2.1, whose strength is absolute; here it is relative to the
///   features' deviation, as in InvokeAI.
public struct SeedVariance: Sendable, Equatable {
    /// Amplitude of the noise, in standard deviations of the features.
    public var strength: Double
    /// Share of the features that get noise.
    public var share = 0.5
    /// Share of the schedule's times that see the noise; the rest has the prompt as it is.
    public var until = 0.2

    /// Noise of an amplitude.
    public init(strength: Double) {
        self.strength = strength
    }
}

extension SeedVariance: Codable {
    private enum CodingKeys: String, CodingKey { case strength, share, until }

    /// Reads the fields that are there; the others have their defaults.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(strength: try fields.decode(Double.self, forKey: .strength))
        share = try fields.decodeIfPresent(Double.self, forKey: .share) ?? share
        until = try fields.decodeIfPresent(Double.self, forKey: .until) ?? until
    }
}

/// What beside the seed decides the noise that an image starts from.
public struct SeedChoices: Sendable, Equatable {
    /// A second seed.
    public var variation: SeedVariation?
    /// The size for which the noise is drawn; it is pasted into the middle of that of the image's size.
    public var noiseSize: PixelSize?
    /// Noise on the features of the prompt.
    public var variance: SeedVariance?

    /// The seed alone.
    public init() {}
}

extension SamplingParameters {
    /// Returns the parameters of one image of several.
    public func image(at index: Int) -> SamplingParameters {
        var own = self
        if own.seeds.variation != nil {
            own.seeds.variation?.seed &+= UInt64(index)
        } else {
            own.seed &+= UInt64(index)
        }
        return own
    }
}

// MARK: - JSON

extension SeedChoices: Codable {
    private enum CodingKeys: String, CodingKey { case variation, noiseSize, seedVariance }

    /// Reads the choices that are there.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        variation = try fields.decodeIfPresent(SeedVariation.self, forKey: .variation)
        noiseSize = try fields.decodeIfPresent(PixelSize.self, forKey: .noiseSize)
        variance = try fields.decodeIfPresent(SeedVariance.self, forKey: .seedVariance)
    }

    /// Writes the choices that are made.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encodeIfPresent(variation, forKey: .variation)
        try fields.encodeIfPresent(noiseSize, forKey: .noiseSize)
        try fields.encodeIfPresent(variance, forKey: .seedVariance)
    }
}

// MARK: - Checks

extension SeedChoices {
    /// - Throws: `RequestError` that names the field, what was expected and the value received.
    package func check() throws(RequestError) {
        if let variation {
            guard variation.strength > 0, variation.strength <= 1 else {
                throw RequestError(
                    field: "variation_strength",
                    message: "variation_strength must be between 0 and 1, got"
                        + " \(variation.strength).")
            }
        }
        if let noiseSize {
            for (field, side) in [
                ("seed_resize_from_w", noiseSize.width), ("seed_resize_from_h", noiseSize.height),
            ] where !(16...8192).contains(side) {
                throw RequestError(
                    field: field, message: "\(field) must be between 16 and 8192, got \(side).")
            }
        }
        if let variance {
            try RequestError.check(variance.strength, "seed_variance", in: 0...10)
            try RequestError.check(variance.share, "seed_variance.share", in: 0...1)
            try RequestError.check(variance.until, "seed_variance.until", in: 0...1)
        }
    }
}
