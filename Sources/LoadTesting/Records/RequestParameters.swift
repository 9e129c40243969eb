// Part of Inkstone. Licence: see LICENSE.

/// The parameters of a request; two requests with equal parameters must return equal pixels.
public struct RequestParameters: Codable, Sendable, Hashable {
    /// The prompt.
    public var prompt: String
    /// The negative prompt, absent for none.
    public var negativePrompt: String?
    /// Pixels.
    public var width: Int
    /// Pixels.
    public var height: Int
    /// Evaluations of the transformer; a guided one counts once.
    public var steps: Int
    /// The pipeline's own g in `pos + g (pos - neg)`, 0 for none; `cfg_scale` is g + 1.
    public var guidance: Double
    /// Image seed, 0 to 2^31 - 1.
    public var seed: UInt32
    /// Name of the LoRA, absent for none.
    public var lora: String?
    /// Scale of the LoRA.
    public var loraScale: Double?
    /// Number of previews requested, 0 to 3.
    public var partialImages: Int
    /// File format requested: `png`, `jpeg` or `webp`.
    public var format: String

    package init(
        prompt: String, negativePrompt: String? = nil, width: Int, height: Int, steps: Int,
        guidance: Double = 0, seed: UInt32, lora: String? = nil, loraScale: Double? = nil,
        partialImages: Int = 0, format: String = "png"
    ) {
        self.prompt = prompt
        self.negativePrompt = negativePrompt
        self.width = width
        self.height = height
        self.steps = steps
        self.guidance = guidance
        self.seed = seed
        self.lora = lora
        self.loraScale = loraScale
        self.partialImages = partialImages
        self.format = format
    }

    /// `WxH`, which is also the name of the size class.
    public var size: String { "\(width)x\(height)" }

    /// The parameters that determine the pixels: previews and file format reset to their defaults.
    var withoutDelivery: RequestParameters {
        var copy = self
        copy.partialImages = 0
        copy.format = "png"
        return copy
    }
}

/// A request of the plan: one line of `plan.jsonl`.
public struct PlannedRequest: Codable, Sendable, Equatable {
    /// The level's key, for instance `closed-008`.
    public var level: String
    /// Number of the visit, from 1.
    public var visit: Int
    /// Position in the level, from 0.
    public var sequence: Int
    /// Nanoseconds after the start of the level's settling; open loops only.
    public var arrival: Int64?
    /// What the request asks for.
    public var parameters: RequestParameters

    package init(
        level: String, visit: Int, sequence: Int, arrival: Int64? = nil,
        parameters: RequestParameters
    ) {
        self.level = level
        self.visit = visit
        self.sequence = sequence
        self.arrival = arrival
        self.parameters = parameters
    }
}
