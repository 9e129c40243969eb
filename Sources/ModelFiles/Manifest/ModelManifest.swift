// Part of Inkstone. Licence: see LICENSE.

public import Parameters

/// What people should know about a model and choose from: name, defaults, presets, examples.
///
/// It comes from `inkstone.json` beside `model_index.json`; a folder without one gets what suits
/// its kind. Every field of the file is optional.
public struct ModelManifest: Sendable, Equatable {
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

    /// Identifier by which requests name the model.
    public var id: String
    /// Name for people.
    public var name: String
    /// One or two sentences by language code.
    public var summary: [String: String]
    /// Licence of the weights.
    public var license: String
    /// Values used where a request is silent.
    public var defaults: ModelDefaults
    /// Sizes that the model was trained for.
    public var sizes: [PixelSize]
    /// Named choices of parameters.
    public var presets: [ModelPreset]
    /// Example prompts by language code.
    public var examples: [String: [String]]
    /// Words that the model knows, by language code; empty if the file does not list them.
    public var words: [String: [String]]
    /// How a preview is computed from latents; `nil` if unknown.
    public var preview: Preview?
    /// The largest request.
    public var limits: ModelLimits

    /// A manifest of the given content.
    public init(
        id: String, name: String, summary: [String: String] = [:], license: String,
        defaults: ModelDefaults, sizes: [PixelSize], presets: [ModelPreset],
        examples: [String: [String]] = [:], words: [String: [String]] = [:],
        preview: Preview? = nil, limits: ModelLimits = ModelLimits()
    ) {
        self.id = id
        self.name = name
        self.summary = summary
        self.license = license
        self.defaults = defaults
        self.sizes = sizes
        self.presets = presets
        self.examples = examples
        self.words = words
        self.preview = preview
        self.limits = limits
    }
}
