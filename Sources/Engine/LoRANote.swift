// Part of Inkstone. Licence: see LICENSE.

/// The effect of a LoRA file on an image.
public struct LoRANote: Sendable, Codable, Equatable {
    /// Name of the file.
    public var name: String
    /// Scale.
    public var scale: Double
    /// Scale of the changes of the text encoder; `nil` if it is ``scale``.
    public var textScale: Double?
    /// alpha / rank of the layers, ascending, without repetitions, at most 16.
    public var factors: [Double]?
    /// Number of changed weights.
    public var matched: Int
    /// Number of keys that match no layer of the model.
    public var unmatched: Int
    /// Number of keys that match a layer but have no effect.
    public var unused: Int
    /// The first 12 digits of the SHA-256 of its tensors, by which A1111 and sites that publish files know it.
    public var hash: String?
    /// A warning for the user, if any.
    public var warning: String?

    private enum CodingKeys: String, CodingKey {
        case name, scale, factors, matched, unmatched, unused, hash, warning
        case textScale = "text_scale"
    }

    /// All fields.
    public init(
        name: String, scale: Double, textScale: Double? = nil, factors: [Double]? = nil,
        matched: Int, unmatched: Int = 0, unused: Int = 0,
        hash: String? = nil, warning: String? = nil
    ) {
        self.hash = hash
        self.name = name
        self.scale = scale
        self.textScale = textScale
        self.factors = factors
        self.matched = matched
        self.unmatched = unmatched
        self.unused = unused
        self.warning = warning
    }
}
