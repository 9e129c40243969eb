// Part of Inkstone. Licence: see LICENSE.

/// The generation parameters of an image, in the text format of A1111 and its clients.
///
/// ``init(parsing:)`` restores what ``text`` wrote for any content, provided that at least three
/// pairs are set (readers require that many), adapters have different names, width and height
/// are both set, and extras do not reuse the keys of properties.
///
/// ```swift
/// let parameters = GenerationParameters(
///     prompt: "a red kite over a lake", steps: 8, cfgScale: 1, seed: 7, width: 128, height: 128,
///     model: "nano", version: "Inkstone 1.0")
/// // a red kite over a lake
/// // Steps: 8, Sampler: Euler, CFG scale: 1, Seed: 7, Size: 128x128, Model: nano, (one line)
/// // Version: Inkstone 1.0
/// ```
public struct GenerationParameters: Sendable, Equatable {
    /// A LoRA adapter that was applied.
    public struct LoRA: Sendable, Equatable {
        /// The name, usually that of its file without extension.
        public var name: String
        /// The scale that it was applied with.
        public var scale: Double
        /// The scale of its changes of the text encoder; `nil` if it is ``scale``.
        public var textScale: Double?
        /// The first characters of the file's checksum.
        public var hash: String?

        /// Creates an adapter.
        public init(name: String, scale: Double = 1, textScale: Double? = nil, hash: String? = nil)
        {
            self.name = name
            self.scale = scale
            self.textScale = textScale
            self.hash = hash
        }
    }

    /// A pair without a property of its own.
    public struct Field: Sendable, Equatable {
        /// A letter, digit or underscore, then those, spaces, `-` and `/`; no space at the end.
        public let key: String
        /// Any text.
        public let value: String

        /// Creates a pair.
        ///
        /// - Precondition: `key` has the form that the property describes; readers do not recognise
        ///   other keys. Keys are constants of a program, values may come from any source.
        public init(_ key: String, _ value: String) {
            precondition(Infotext.isKey(key), "'\(key)' is not a key for generation parameters")
            self.key = key
            self.value = value
        }
    }

    /// The prompt.
    public var prompt: String
    /// The negative prompt; empty if there was none.
    public var negativePrompt: String
    /// Number of denoising steps.
    public var steps: Int?
    /// The sampler's usual name.
    public var sampler: String?
    /// The noise schedule's usual name.
    public var scheduleType: String?
    /// The scale s in `neg + s (pos - neg)`, where 1 means no guidance.
    ///
    /// ``cfgScale(guidance:)`` computes it from the pipeline's guidance scale.
    public var cfgScale: Double?
    /// The seed of this image.
    public var seed: UInt64?
    /// Columns of the image.
    public var width: Int?
    /// Rows of the image.
    public var height: Int?
    /// The first characters of the model's checksum.
    public var modelHash: String?
    /// The model's name.
    public var model: String?
    /// The adapters, in the order of the request.
    public var loras: [LoRA]
    /// Further pairs, written between the model and the version.
    public var extras: [Field]
    /// The program that made the image, with its version.
    public var version: String?

    /// Creates parameters; omitted and `nil` values are not written.
    public init(
        prompt: String,
        negativePrompt: String = "",
        steps: Int? = nil,
        sampler: String? = "Euler",
        scheduleType: String? = nil,
        cfgScale: Double? = nil,
        seed: UInt64? = nil,
        width: Int? = nil,
        height: Int? = nil,
        modelHash: String? = nil,
        model: String? = nil,
        loras: [LoRA] = [],
        extras: [Field] = [],
        version: String? = nil
    ) {
        self.prompt = prompt
        self.negativePrompt = negativePrompt
        self.steps = steps
        self.sampler = sampler
        self.scheduleType = scheduleType
        self.cfgScale = cfgScale
        self.seed = seed
        self.width = width
        self.height = height
        self.modelHash = modelHash
        self.model = model
        self.loras = loras
        self.extras = extras
        self.version = version
    }

    /// Converts the pipeline's guidance g in `pos + g (pos - neg)` to the scale that clients show.
    public static func cfgScale(guidance: Double) -> Double {
        guidance > 0 ? guidance + 1 : 1
    }

    /// The pipeline's guidance for ``cfgScale``; 0 (off) without one.
    public var guidance: Double {
        max(0, (cfgScale ?? 1) - 1)
    }
}
