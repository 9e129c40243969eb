// Part of Inkstone. Licence: see LICENSE.

/// What a request asks for; two requests with equal parameters must give equal pixels.
package struct RequestParameters: Codable, Sendable, Hashable {
    package var prompt: String
    package var negativePrompt: String?
    /// Pixels.
    package var width: Int
    /// Pixels.
    package var height: Int
    /// Evaluations of the transformer; a guided one counts once.
    package var steps: Int
    /// The pipeline's own g in `pos + g (pos - neg)`, 0 for none; `cfg_scale` is g + 1.
    package var guidance: Double
    /// 0 to 2^31 - 1.
    package var seed: UInt32
    /// Name of the LoRA, absent for none.
    package var lora: String?
    /// Its scale.
    package var loraScale: Double?
    /// Previews asked for, 0 to 3.
    package var partialImages: Int
    /// File format asked for: `png`, `jpeg` or `webp`.
    package var format: String

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
    package var size: String { "\(width)x\(height)" }

    /// The parameters that determine the pixels: previews and file format reset to their defaults.
    var withoutDelivery: RequestParameters {
        var copy = self
        copy.partialImages = 0
        copy.format = "png"
        return copy
    }
}

/// A request of the plan: one line of `plan.jsonl`.
package struct PlannedRequest: Codable, Sendable, Equatable {
    /// Its level's key, for instance `closed-008`.
    package var level: String
    /// Which visit of the level, from 1.
    package var visit: Int
    /// Its place in the level, from 0.
    package var sequence: Int
    /// Nanoseconds after the begin of the level's settling; open loops only.
    package var arrival: Int64?
    package var parameters: RequestParameters

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
