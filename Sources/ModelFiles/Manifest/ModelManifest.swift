// Part of Inkstone. Licence: see LICENSE.

/// What people should know about a model and choose from: name, defaults, presets, examples.
///
/// It comes from `inkstone.json` beside `model_index.json`; a folder without one gets what suits
/// its kind. Every field of the file is optional.
public struct ModelManifest: Sendable, Equatable {
    /// Columns and rows of a picture.
    public struct Size: Sendable, Hashable {
        /// Columns.
        public var width: Int
        /// Rows.
        public var height: Int

        /// A size of the given number of columns and rows.
        public init(width: Int, height: Int) {
            self.width = width
            self.height = height
        }
    }

    /// Values used where a request is silent.
    public struct Defaults: Sendable, Equatable {
        /// Columns.
        public var width: Int
        /// Rows.
        public var height: Int
        /// Evaluations of the transformer.
        public var steps: Int
        /// Guidance *g* in `positive + g (positive - negative)`; 0 is off.
        public var guidanceScale: Double
        /// Prompt that guidance leads away from.
        public var negativePrompt: String

        /// Defaults of a model.
        public init(
            width: Int, height: Int, steps: Int, guidanceScale: Double, negativePrompt: String = ""
        ) {
            self.width = width
            self.height = height
            self.steps = steps
            self.guidanceScale = guidanceScale
            self.negativePrompt = negativePrompt
        }
    }

    /// A named choice of parameters.
    public struct Preset: Sendable, Equatable {
        /// Stable identifier.
        public var id: String
        /// Name by language code.
        public var name: [String: String]
        /// Columns.
        public var width: Int
        /// Rows.
        public var height: Int
        /// Evaluations of the transformer.
        public var steps: Int
        /// Guidance; 0 is off.
        public var guidanceScale: Double

        /// A preset.
        public init(
            id: String, name: [String: String], width: Int, height: Int, steps: Int,
            guidanceScale: Double
        ) {
            self.id = id
            self.name = name
            self.width = width
            self.height = height
            self.steps = steps
            self.guidanceScale = guidanceScale
        }
    }

    /// A linear map from latents to colours between -1 and 1, for previews.
    ///
    /// - Shapes: `factors` is `[C, 3]` for C latent channels, `bias` is `[3]`.
    public struct Preview: Sendable, Equatable {
        /// Red, green and blue of each latent channel.
        public var factors: [[Double]]
        /// Added to the colours.
        public var bias: [Double]

        /// A map of the given coefficients.
        public init(factors: [[Double]], bias: [Double]) {
            self.factors = factors
            self.bias = bias
        }
    }

    /// The largest request that the model's owner wants served; `nil` leaves it to the server.
    public struct Limits: Sendable, Equatable {
        /// Columns.
        public var maximumWidth: Int?
        /// Rows.
        public var maximumHeight: Int?
        /// Evaluations of the transformer.
        public var maximumSteps: Int?
        /// Pictures of one request.
        public var maximumCount: Int?
        /// Characters of each prompt.
        public var maximumPromptLength: Int?

        /// Limits; `nil` leaves one to the server.
        public init(
            maximumWidth: Int? = nil, maximumHeight: Int? = nil, maximumSteps: Int? = nil,
            maximumCount: Int? = nil, maximumPromptLength: Int? = nil
        ) {
            self.maximumWidth = maximumWidth
            self.maximumHeight = maximumHeight
            self.maximumSteps = maximumSteps
            self.maximumCount = maximumCount
            self.maximumPromptLength = maximumPromptLength
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
    /// Sizes that the model was trained for.
    public var sizes: [Size]
    /// Named choices of parameters.
    public var presets: [Preset]
    /// Example prompts by language code.
    public var examples: [String: [String]]
    /// How latents become a small picture; `nil` where nobody knows.
    public var preview: Preview?
    /// The largest request.
    public var limits: Limits

    /// A manifest of the given content.
    public init(
        id: String, name: String, summary: [String: String] = [:], license: String,
        defaults: Defaults, sizes: [Size], presets: [Preset], examples: [String: [String]] = [:],
        preview: Preview? = nil, limits: Limits = Limits()
    ) {
        self.id = id
        self.name = name
        self.summary = summary
        self.license = license
        self.defaults = defaults
        self.sizes = sizes
        self.presets = presets
        self.examples = examples
        self.preview = preview
        self.limits = limits
    }
}
