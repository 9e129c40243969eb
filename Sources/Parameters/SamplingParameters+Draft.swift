// Part of Inkstone. Licence: see LICENSE.

import Basics

extension SamplingParameters {
    /// The parameters that a client stated; `nil` stands for the model's default.
    public struct Draft: Sendable, Equatable {
        /// The text to show.
        public var prompt: String
        /// The text to lead away from.
        public var negativePrompt: String?
        /// Columns.
        public var width: Int?
        /// Rows.
        public var height: Int?
        /// Steps of the schedule.
        public var steps: Int?
        /// Guidance; 0 is off.
        public var guidanceScale: Double?
        /// Largest norm of the guided output as a multiple of the unguided one's; 0 is off.
        public var cfgNormalization: Double?
        /// Guidance stops where `1 - sigma` exceeds this.
        public var cfgTruncation: Double?
        /// Seed of the noise; `nil` chooses one.
        public var seed: UInt64?
        /// Share of the schedule that is run on a source image.
        public var strength: Double?
        /// LoRA files by name, added in this order.
        public var loras: [LoRAScale]?
        /// How the image is computed, and at which noise levels; `nil` levels are the model's own.
        public var sampling = SamplingMethod()
        /// Seed of noise that is mixed in; `nil` chooses one.
        public var variationSeed: UInt64?
        /// Share of that noise; 0 or `nil` mixes nothing in.
        public var variationStrength: Double?
        /// The size for which the noise is drawn; `nil` is the image's.
        public var noiseSize: PixelSize?
        /// Noise on the features of the prompt.
        public var seedVariance: SeedVariance?
        /// A second pass in a larger size.
        public var secondPass: SecondPass.Draft?
        /// ControlNets with their maps.
        public var controls: [ControlParameters]?

        /// A draft that states the prompt alone.
        public init(prompt: String) {
            self.prompt = prompt
        }
    }

    /// Fills the gaps of a draft with a model's defaults and checks every field.
    ///
    /// - Throws: `RequestError` that names the field, what was expected and the value received.
    public init(
        _ draft: Draft, defaults: ModelDefaults, limits: ModelLimits
    ) throws(RequestError) {
        self.init(
            prompt: draft.prompt,
            size: PixelSize(
                width: draft.width ?? defaults.size.width,
                height: draft.height ?? defaults.size.height),
            // Without a level above 0, the check of the levels says so.
            steps: draft.sampling.sigmas.map { max(1, $0.count - 1) } ?? draft.steps
                ?? defaults.steps)
        negativePrompt = draft.negativePrompt ?? defaults.negativePrompt
        guidanceScale = draft.guidanceScale ?? defaults.guidanceScale
        cfgNormalization = draft.cfgNormalization ?? cfgNormalization
        cfgTruncation = draft.cfgTruncation ?? cfgTruncation
        strength = draft.strength
        loras = draft.loras ?? []
        controls = draft.controls ?? []
        sampling = draft.sampling
        seed = draft.seed ?? Self.randomSeed
        if let strength = draft.variationStrength, strength != 0 {
            seeds.variation = SeedVariation(
                seed: draft.variationSeed ?? Self.randomSeed, strength: strength)
        }
        seeds.noiseSize = draft.noiseSize == size ? nil : draft.noiseSize
        seeds.variance = draft.seedVariance.flatMap { $0.strength == 0 ? nil : $0 }
        if let pass = draft.secondPass {
            secondPass = try SecondPass(pass, from: size, unit: limits.sizeMultiple)
        }
        try check(limits)
    }

    /// A random seed; it is below 2^31, so that every client can send it back.
    private static var randomSeed: UInt64 { UInt64.random(in: 0..<(1 << 31)) }

    private func check(_ limits: ModelLimits) throws(RequestError) {
        try Self.check(
            size.width, "width", multipleOf: limits.sizeMultiple, upTo: limits.maximumWidth)
        try Self.check(
            size.height, "height", multipleOf: limits.sizeMultiple, upTo: limits.maximumHeight)
        try RequestError.check(steps, "steps", in: 1...limits.maximumSteps)
        try RequestError.check(guidanceScale, "guidance_scale", in: 0...100)
        try RequestError.check(cfgNormalization, "cfg_normalization", in: 0...100)
        try RequestError.check(cfgTruncation, "cfg_truncation", in: 0...1)
        for (field, text) in [("prompt", prompt), ("negative_prompt", negativePrompt)] {
            let length = text.unicodeScalars.count
            guard length <= limits.maximumPromptLength else {
                throw RequestError(
                    field: field,
                    message: "\(field) must have at most \(limits.maximumPromptLength) characters,"
                        + " got \(length).")
            }
            guard !text.hasLongRunOfMarks else {
                throw RequestError(
                    field: field,
                    message:
                        "\(field) must not have more than \(String.longestRunOfMarks) combining"
                        + " marks in a row.")
            }
        }
        if let strength { try check(strength: strength) }
        try sampling.check(steps: steps, strength: strength)
        try seeds.check()
        if let secondPass { try check(secondPass, limits) }
        try checkLoRAs(limits)
        try controls.check()
    }

    private func check(strength: Double) throws(RequestError) {
        guard strength > 0, strength <= 1 else {
            throw RequestError(
                field: "strength",
                message: "strength must be above 0 and at most 1, got \(strength).")
        }
        guard sampling.strengthRule != .steps || Double(steps) * strength >= 1 else {
            throw RequestError(
                field: "strength",
                message: "strength \(strength) of \(steps) steps leaves less than one"
                    + " step to run; raise strength or steps.")
        }
    }

    private func checkLoRAs(_ limits: ModelLimits) throws(RequestError) {
        guard loras.count <= limits.maximumLoRAs else {
            throw RequestError(
                field: "loras",
                message: "loras must have at most \(limits.maximumLoRAs) entries, got"
                    + " \(loras.count).")
        }
        for lora in loras {
            guard LoRAScale.isName(lora.name) else {
                throw RequestError(
                    field: "loras",
                    message: "loras must name files of this server without their folder and ending,"
                        + " got \(lora.name.quoted).")
            }
            for scale in [lora.scale, lora.textScale ?? 0] where !(-10.0...10.0).contains(scale) {
                throw RequestError(
                    field: "loras",
                    message: "the scale of LoRA \(lora.name.quoted) must be between -10"
                        + " and 10, got \(scale).")
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
}

extension String {
    /// Combining marks in a row that a prompt may have.
    ///
    /// Comparing and hashing text takes quadratic time in their number, since they are sorted by class. Text of
    /// the languages of the world has fewer than 10; 30 is the limit of Unicode's stream-safe format.
    fileprivate static let longestRunOfMarks = 64

    fileprivate var hasLongRunOfMarks: Bool {
        var run = 0
        for scalar in unicodeScalars {
            let isMark =
                scalar.value >= 0x300
                && scalar.properties.canonicalCombiningClass != .notReordered
            run = isMark ? run + 1 : 0
            if run > Self.longestRunOfMarks { return true }
        }
        return false
    }
}
