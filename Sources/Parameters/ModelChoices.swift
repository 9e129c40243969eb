// Part of Inkstone. Licence: see LICENSE.

/// Values of a model that are used where a request states none.
public struct ModelDefaults: Sendable, Codable, Equatable {
    /// Columns and rows of pixels.
    public var size: PixelSize
    /// Evaluations of the transformer.
    public var steps: Int
    /// Guidance *g* in `positive + g (positive - negative)`; 0 is off.
    public var guidanceScale: Double
    /// The text to lead away from.
    public var negativePrompt: String

    /// Defaults of the given values.
    public init(size: PixelSize, steps: Int, guidanceScale: Double, negativePrompt: String = "") {
        self.size = size
        self.steps = steps
        self.guidanceScale = guidanceScale
        self.negativePrompt = negativePrompt
    }
}

/// A named choice of parameters of a model.
public struct ModelPreset: Sendable, Codable, Equatable {
    /// Stable identifier.
    public var id: String
    /// Name by language code (`en`, `zh`).
    public var name: [String: String]
    /// Columns and rows of pixels.
    public var size: PixelSize
    /// Evaluations of the transformer.
    public var steps: Int
    /// Guidance; 0 is off.
    public var guidanceScale: Double

    /// A preset of the given values.
    public init(
        id: String, name: [String: String], size: PixelSize, steps: Int, guidanceScale: Double
    ) {
        self.id = id
        self.name = name
        self.size = size
        self.steps = steps
        self.guidanceScale = guidanceScale
    }
}

/// The largest request that a model serves.
public struct ModelLimits: Sendable, Codable, Equatable {
    /// Columns of pixels.
    public var maximumWidth: Int
    /// Rows of pixels.
    public var maximumHeight: Int
    /// Evaluations of the transformer.
    public var maximumSteps: Int
    /// Images of one request.
    public var maximumCount: Int
    /// Characters of each prompt.
    public var maximumPromptLength: Int
    /// Both sides are multiples of this.
    public var sizeMultiple: Int
    /// LoRA files of one request.
    public var maximumLoRAs: Int

    /// Limits of the given values; the others are the defaults of a server.
    public init(
        maximumWidth: Int = 2048, maximumHeight: Int = 2048, maximumSteps: Int = 200,
        maximumCount: Int = 10, maximumPromptLength: Int = 32_000, sizeMultiple: Int = 16,
        maximumLoRAs: Int = 8
    ) {
        self.maximumWidth = maximumWidth
        self.maximumHeight = maximumHeight
        self.maximumSteps = maximumSteps
        self.maximumCount = maximumCount
        self.maximumPromptLength = maximumPromptLength
        self.sizeMultiple = sizeMultiple
        self.maximumLoRAs = maximumLoRAs
    }

    /// Reads limits; the number of LoRA files may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            maximumWidth: try fields.decode(Int.self, forKey: .maximumWidth),
            maximumHeight: try fields.decode(Int.self, forKey: .maximumHeight),
            maximumSteps: try fields.decode(Int.self, forKey: .maximumSteps),
            maximumCount: try fields.decode(Int.self, forKey: .maximumCount),
            maximumPromptLength: try fields.decode(Int.self, forKey: .maximumPromptLength),
            sizeMultiple: try fields.decode(Int.self, forKey: .sizeMultiple),
            maximumLoRAs: try fields.decodeIfPresent(Int.self, forKey: .maximumLoRAs) ?? 8)
    }
}
