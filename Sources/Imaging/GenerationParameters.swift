// Part of Inkstone. Licence: see LICENSE.

/// How an image was made, in the words that image clients write into files.
///
/// ``init(parsing:)`` gives back what ``text`` wrote, whatever the texts contain, as long as at
/// least three pairs are set (readers want that many), adapters have different names, both sides
/// of the size are there and extras do not reuse the keys of properties.
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
    /// An adapter that took part.
    public struct LoRA: Sendable, Equatable {
        /// The name, usually that of its file without extension.
        public var name: String
        /// The factor that it was applied with.
        public var scale: Double
        /// The first characters of the file's checksum.
        public var hash: String?

        /// Names an adapter.
        public init(name: String, scale: Double = 1, hash: String? = nil) {
            self.name = name
            self.scale = scale
            self.hash = hash
        }
    }

    /// A pair that has no property of its own.
    public struct Field: Sendable, Equatable {
        /// A letter, digit or underscore, then those, spaces, `-` and `/`; no space at the end.
        public let key: String
        /// Any text.
        public let value: String

        /// Makes a pair.
        ///
        /// - Precondition: `key` has the form that the property describes, because no reader would
        ///   find it otherwise. Keys are words of a program, values may come from anywhere.
        public init(_ key: String, _ value: String) {
            precondition(Infotext.isKey(key), "'\(key)' is no key for generation parameters")
            self.key = key
            self.value = value
        }
    }

    /// What the image should show.
    public var prompt: String
    /// What it should not show; empty when nothing was said.
    public var negativePrompt: String
    /// Evaluations of the transformer.
    public var steps: Int?
    /// The sampler's usual name.
    public var sampler: String?
    /// The noise schedule's usual name.
    public var scheduleType: String?
    /// The scale s in `neg + s (pos - neg)`, where 1 means no guidance.
    ///
    /// ``cfgScale(guidance:)`` computes it from the pipeline's own number.
    public var cfgScale: Double?
    /// The seed of this very image.
    public var seed: UInt64?
    /// Columns of the image.
    public var width: Int?
    /// Rows of the image.
    public var height: Int?
    /// The first characters of the model's checksum.
    public var modelHash: String?
    /// The model's name.
    public var model: String?
    /// The adapters, in the order in which they were given.
    public var loras: [LoRA]
    /// Further pairs, written between the model and the version.
    public var extras: [Field]
    /// The program that made the image, with its version.
    public var version: String?

    /// Makes parameters; what is left out or `nil` is not written.
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

    /// The scale that clients show for the pipeline's own guidance g in `pos + g (pos - neg)`.
    public static func cfgScale(guidance: Double) -> Double {
        guidance > 0 ? guidance + 1 : 1
    }

    /// The pipeline's own guidance that belongs to ``cfgScale``; 0, which is off, without one.
    public var guidance: Double {
        max(0, (cfgScale ?? 1) - 1)
    }
}
