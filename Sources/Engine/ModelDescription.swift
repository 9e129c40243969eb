// Part of Inkstone. Licence: see LICENSE.

public import Parameters

/// The description of a loaded model for clients: its name, defaults, limits and examples.
///
/// This is the only source of defaults and limits; dialects, the page and the command line read it,
/// and `ImageRequest.init(_:for:)` applies it.
public struct ModelDescription: Sendable, Codable, Equatable {
    /// Identifier by which requests name the model.
    public var id: String
    /// Display name.
    public var name: String
    /// One or two sentences by language code.
    public var summary: [String: String]
    /// Licence of the weights.
    public var license: String
    /// Default values of requests.
    public var defaults: ModelDefaults
    /// The largest request that is accepted.
    public var limits: ModelLimits
    /// Sizes that the model was trained for.
    public var sizes: [PixelSize]
    /// Named choices of parameters.
    public var presets: [ModelPreset]
    /// Example prompts by language code.
    public var examples: [String: [String]]
    /// Words that the model knows, by language code; `nil` if it does not list them, and in lists of models.
    public var words: [String: [String]]?
    /// Number of parameters of all components.
    public var parameterCount: Int
    /// Precision of the products: `f32`, `bf16` or `int8`, or `f16-scaled` on a graphics card.
    public var precision: String
    /// Kernels in use, such as `avx512bf16`.
    public var kernels: String
    /// When the weights were loaded, in Unix seconds.
    public var loadedAt: Int

    /// All fields.
    public init(
        id: String, name: String, summary: [String: String], license: String,
        defaults: ModelDefaults, limits: ModelLimits, sizes: [PixelSize], presets: [ModelPreset],
        examples: [String: [String]], words: [String: [String]]? = nil,
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
        self.words = words
        self.parameterCount = parameterCount
        self.precision = precision
        self.kernels = kernels
        self.loadedAt = loadedAt
    }

    /// The same without the words, which are longer than everything else, for what is sent often.
    package var withoutWords: ModelDescription {
        var description = self
        description.words = nil
        return description
    }
}
