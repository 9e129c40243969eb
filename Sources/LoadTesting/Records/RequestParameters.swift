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
    /// The image that the request changes; absent for an image from the prompt alone.
    public var source: SourceParameters?
    /// The ControlNet that the request applies; absent for none.
    public var control: ControlParameters?

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

    /// `edit`, `inpaint` or `generate`.
    public var task: String {
        source.map { $0.mask == nil ? "edit" : "inpaint" } ?? "generate"
    }

    /// The smallest number of evaluations that the request can need: an edit begins within the schedule.
    package var fewestSteps: Int {
        source.map { max(1, Int((Double(steps) * $0.strength).rounded(.down))) } ?? steps
    }

    /// The parameters that determine the pixels: previews and file format reset to their defaults.
    var withoutDelivery: RequestParameters {
        var copy = self
        copy.partialImages = 0
        copy.format = "png"
        return copy
    }
}

/// The image that a request changes, and the part of it that is generated again.
public struct SourceParameters: Codable, Sendable, Hashable {
    /// Pixels.
    public var width: Int
    /// Pixels.
    public var height: Int
    /// Seed of the image that the load tester makes; absent for the image of an earlier request.
    public var seed: UInt32?
    /// Position of the request whose image is changed, in a session of several turns.
    public var previous: Int?
    /// From 0, the source itself, to 1, an image from the prompt.
    public var strength: Double
    /// Share of the area that is generated again; absent without a mask.
    public var mask: Double?

    package init(
        width: Int, height: Int, seed: UInt32? = nil, previous: Int? = nil, strength: Double,
        mask: Double? = nil
    ) {
        self.width = width
        self.height = height
        self.seed = seed
        self.previous = previous
        self.strength = strength
        self.mask = mask
    }
}

/// The ControlNet of a request; its image has the size of the request and is made by the load tester.
public struct ControlParameters: Codable, Sendable, Hashable {
    /// Name of the ControlNet at the server.
    public var model: String
    /// What makes its map, for instance `canny`; `none` for an image that is one already.
    public var type: String
    /// Strength of the ControlNet.
    public var scale: Double
    /// Seed of the image.
    public var seed: UInt32

    package init(model: String, type: String, scale: Double, seed: UInt32) {
        self.model = model
        self.type = type
        self.scale = scale
        self.seed = seed
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
