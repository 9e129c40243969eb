// Part of Inkstone. Licence: see LICENSE.

/// What clients may know about a loaded model: its name, defaults, limits and examples.
///
/// This is the one place that knows defaults and limits; dialects, the page and the command line all
/// read it and let `ImageRequest.init(_:for:)` apply it.
public struct ModelDescription: Sendable, Codable, Equatable {
    /// Values used where a request is silent.
    public struct Defaults: Sendable, Codable, Equatable {
        /// Size of a picture.
        public var size: PixelSize
        /// Evaluations of the transformer.
        public var steps: Int
        /// Guidance *g* in `positive + g (positive - negative)`; 0 is off.
        public var guidanceScale: Double
        /// Prompt that guidance leads away from.
        public var negativePrompt: String

        /// All fields.
        public init(
            size: PixelSize, steps: Int, guidanceScale: Double, negativePrompt: String
        ) {
            self.size = size
            self.steps = steps
            self.guidanceScale = guidanceScale
            self.negativePrompt = negativePrompt
        }
    }

    /// The largest request that is accepted.
    public struct Limits: Sendable, Codable, Equatable {
        /// Pixels of each side.
        public var maximumWidth: Int
        /// Pixels of each side.
        public var maximumHeight: Int
        /// Evaluations of the transformer.
        public var maximumSteps: Int
        /// Pictures of one request.
        public var maximumCount: Int
        /// Characters of each prompt.
        public var maximumPromptLength: Int
        /// Both sides are multiples of this.
        public var sizeMultiple: Int
        /// LoRA files of one request.
        public var maximumLoRAs: Int

        /// All fields.
        public init(
            maximumWidth: Int, maximumHeight: Int, maximumSteps: Int, maximumCount: Int,
            maximumPromptLength: Int, sizeMultiple: Int, maximumLoRAs: Int = 8
        ) {
            self.maximumWidth = maximumWidth
            self.maximumHeight = maximumHeight
            self.maximumSteps = maximumSteps
            self.maximumCount = maximumCount
            self.maximumPromptLength = maximumPromptLength
            self.sizeMultiple = sizeMultiple
            self.maximumLoRAs = maximumLoRAs
        }

        /// Reads limits; a description that is silent on LoRA files allows the usual number.
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

    /// A named choice of parameters.
    public struct Preset: Sendable, Codable, Equatable {
        /// Stable identifier.
        public var id: String
        /// Name by language code (`en`, `zh`).
        public var name: [String: String]
        /// Size of a picture.
        public var size: PixelSize
        /// Evaluations of the transformer.
        public var steps: Int
        /// Guidance; 0 is off.
        public var guidanceScale: Double

        /// All fields.
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

    /// Identifier by which requests name the model.
    public var id: String
    /// Name for people.
    public var name: String
    /// One or two sentences by language code.
    public var summary: [String: String]
    /// Licence of the weights.
    public var license: String
    /// Values used where a request is silent.
    public var defaults: Defaults
    /// The largest request that is accepted.
    public var limits: Limits
    /// Sizes that the model was trained for.
    public var sizes: [PixelSize]
    /// Named choices of parameters.
    public var presets: [Preset]
    /// Example prompts by language code.
    public var examples: [String: [String]]
    /// Numbers in all parts together.
    public var parameterCount: Int
    /// Precision of the products: `f32`, `bf16` or `int8`.
    public var precision: String
    /// Kernels in use, such as `avx512bf16`.
    public var kernels: String
    /// When the weights were loaded, in Unix seconds.
    public var loadedAt: Int

    /// All fields.
    public init(
        id: String, name: String, summary: [String: String], license: String, defaults: Defaults,
        limits: Limits, sizes: [PixelSize], presets: [Preset], examples: [String: [String]],
        parameterCount: Int, precision: String, kernels: String, loadedAt: Int
    ) {
        self.id = id
        self.name = name
        self.summary = summary
        self.license = license
        self.defaults = defaults
        self.limits = limits
        self.sizes = sizes
        self.presets = presets
        self.examples = examples
        self.parameterCount = parameterCount
        self.precision = precision
        self.kernels = kernels
        self.loadedAt = loadedAt
    }
}
