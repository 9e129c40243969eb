// Part of Inkstone. Licence: see LICENSE.

public import Imaging

/// What is asked of the engine, complete and within the model's limits.
///
/// Every dialect, the page, the command line and the tests end here.
public struct ImageRequest: Sendable, Equatable {
    /// A picture to start from.
    public struct Source: Sendable, Equatable {
        /// The picture; resized to the request's size.
        public var image: RGBImage
        /// Share of the schedule that is run, above 0 and at most 1.
        public var strength: Double
        /// White where the picture is drawn anew; resized to the request's size; `nil` is everywhere.
        public var mask: RGBImage?

        /// Starts from `image`, running `strength` of the schedule, where `mask` is white.
        public init(image: RGBImage, strength: Double, mask: RGBImage? = nil) {
            self.image = image
            self.strength = strength
            self.mask = mask
        }
    }

    /// What a client said; `nil` where it was silent.
    public struct Draft: Sendable, Equatable {
        /// The text to draw.
        public var prompt: String
        /// The text to lead away from.
        public var negativePrompt: String?
        /// Columns.
        public var width: Int?
        /// Rows.
        public var height: Int?
        /// Evaluations of the transformer.
        public var steps: Int?
        /// Guidance; 0 is off.
        public var guidanceScale: Double?
        /// Limit of the guided output's norm relative to the unguided; 0 is off.
        public var cfgNormalization: Double?
        /// Guidance stops where `1 - sigma` exceeds this.
        public var cfgTruncation: Double?
        /// Seed of the first picture; negative or `nil` chooses one.
        public var seed: Int64?
        /// Pictures.
        public var count: Int?
        /// A picture to start from.
        public var source: Source?
        /// LoRA files with their strengths, added in this order.
        public var loras: [LoRAChoice]?
        /// Who goes first among requests that wait.
        public var priority: Priority?

        /// A draft that says nothing but the prompt.
        public init(prompt: String) {
            self.prompt = prompt
        }
    }

    /// The text to draw.
    public let prompt: String
    /// The text to lead away from; used with guidance only.
    public let negativePrompt: String
    /// Size of each picture.
    public let size: PixelSize
    /// Evaluations of the transformer.
    public let steps: Int
    /// Guidance *g* in `positive + g (positive - negative)`; 0 is off.
    public let guidanceScale: Double
    /// Limit of the guided output's norm relative to the unguided; 0 is off.
    public let cfgNormalization: Double
    /// Guidance stops where `1 - sigma` exceeds this.
    public let cfgTruncation: Double
    /// Seed of the first picture; picture *i* is drawn from `seed + i`.
    public let seed: UInt64
    /// Pictures.
    public let count: Int
    /// A picture to start from.
    public let source: Source?
    /// LoRA files with their strengths, added in this order.
    public let loras: [LoRAChoice]
    /// Who goes first among requests that wait.
    public let priority: Priority

    /// Fills the gaps of a draft with the model's defaults and checks every field.
    ///
    /// - Throws: `RequestError` that names the field, what was expected and what came.
    public init(_ draft: Draft, for model: ModelDescription) throws(RequestError) {
        let limits = model.limits
        let width = draft.width ?? model.defaults.size.width
        let height = draft.height ?? model.defaults.size.height
        try Self.check(width, "width", multipleOf: limits.sizeMultiple, upTo: limits.maximumWidth)
        try Self.check(
            height, "height", multipleOf: limits.sizeMultiple, upTo: limits.maximumHeight)
        let steps = draft.steps ?? model.defaults.steps
        try Self.check(steps, "steps", in: 1...limits.maximumSteps)
        let count = draft.count ?? 1
        try Self.check(count, "count", in: 1...limits.maximumCount)
        let guidance = draft.guidanceScale ?? model.defaults.guidanceScale
        try Self.check(guidance, "guidance_scale", in: 0...100)
        let normalization = draft.cfgNormalization ?? 0
        try Self.check(normalization, "cfg_normalization", in: 0...100)
        let truncation = draft.cfgTruncation ?? 1
        try Self.check(truncation, "cfg_truncation", in: 0...1)
        let negative = draft.negativePrompt ?? model.defaults.negativePrompt
        for (field, text) in [("prompt", draft.prompt), ("negative_prompt", negative)] {
            let length = text.unicodeScalars.count
            guard length <= limits.maximumPromptLength else {
                throw RequestError(
                    field: field,
                    message: "\(field) must have at most \(limits.maximumPromptLength) characters,"
                        + " got \(length).")
            }
        }
        if let source = draft.source {
            guard source.strength > 0, source.strength <= 1 else {
                throw RequestError(
                    field: "strength",
                    message: "strength must be above 0 and at most 1, got \(source.strength).")
            }
            guard Double(steps) * source.strength >= 1 else {
                throw RequestError(
                    field: "strength",
                    message: "strength \(source.strength) of \(steps) steps leaves less than one"
                        + " step to run; raise strength or steps.")
            }
        }
        let loras = draft.loras ?? []
        try Self.check(loras, limits)
        self.loras = loras
        self.prompt = draft.prompt
        self.negativePrompt = negative
        self.size = PixelSize(width: width, height: height)
        self.steps = steps
        self.guidanceScale = guidance
        self.cfgNormalization = normalization
        self.cfgTruncation = truncation
        // Chosen seeds stay below 2^31: every client can send them back.
        self.seed =
            draft.seed.flatMap { $0 >= 0 ? UInt64($0) : nil } ?? UInt64.random(in: 0..<(1 << 31))
        self.count = count
        self.source = draft.source
        priority = draft.priority ?? .normal
    }

    /// A request of fields that were checked before.
    init(
        prompt: String, negativePrompt: String, size: PixelSize, steps: Int, guidanceScale: Double,
        cfgNormalization: Double, cfgTruncation: Double, seed: UInt64, count: Int, source: Source?,
        loras: [LoRAChoice], priority: Priority
    ) {
        self.prompt = prompt
        self.negativePrompt = negativePrompt
        self.size = size
        self.steps = steps
        self.guidanceScale = guidanceScale
        self.cfgNormalization = cfgNormalization
        self.cfgTruncation = cfgTruncation
        self.seed = seed
        self.count = count
        self.source = source
        self.loras = loras
        self.priority = priority
    }

    /// The same request with another picture to start from, or none.
    package func starting(from source: Source?) -> ImageRequest {
        with(seed: seed, count: count, source: source)
    }

    /// The same request without its first pictures.
    package func dropping(first number: Int) -> ImageRequest {
        precondition(number < count, "a request keeps at least one picture")
        return with(seed: seed &+ UInt64(number), count: count - number, source: source)
    }

    private func with(seed: UInt64, count: Int, source: Source?) -> ImageRequest {
        ImageRequest(
            prompt: prompt, negativePrompt: negativePrompt, size: size, steps: steps,
            guidanceScale: guidanceScale, cfgNormalization: cfgNormalization,
            cfgTruncation: cfgTruncation, seed: seed, count: count, source: source, loras: loras,
            priority: priority)
    }

    private static func check(
        _ loras: [LoRAChoice], _ limits: ModelDescription.Limits
    ) throws(RequestError) {
        guard loras.count <= limits.maximumLoRAs else {
            throw RequestError(
                field: "loras",
                message: "loras must have at most \(limits.maximumLoRAs) entries, got"
                    + " \(loras.count).")
        }
        for lora in loras {
            guard LoRAChoice.isName(lora.name) else {
                throw RequestError(
                    field: "loras",
                    message: "loras must name files of this server without their folder and ending,"
                        + " got \(LoRARegistry.shown(lora.name)).")
            }
            guard (-10.0...10.0).contains(lora.scale) else {
                throw RequestError(
                    field: "loras",
                    message:
                        "the scale of LoRA \(LoRARegistry.shown(lora.name)) must be between -10"
                        + " and 10, got \(lora.scale).")
            }
        }
    }

    private static func check(
        _ value: Int, _ field: String, multipleOf unit: Int, upTo limit: Int
    ) throws(RequestError) {
        guard value >= unit, value <= limit, value.isMultiple(of: unit) else {
            throw RequestError(
                field: field,
                message: "\(field) must be a multiple of \(unit) between \(unit) and \(limit),"
                    + " got \(value).")
        }
    }

    private static func check<Value: Comparable>(
        _ value: Value, _ field: String, in range: ClosedRange<Value>
    ) throws(RequestError) {
        guard range.contains(value) else {
            throw RequestError(
                field: field,
                message: "\(field) must be between \(range.lowerBound) and \(range.upperBound),"
                    + " got \(value).")
        }
    }
}
