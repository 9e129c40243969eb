// Part of Inkstone. Licence: see LICENSE.

/// What a LoRA file did to a picture.
public struct LoRANote: Sendable, Codable, Equatable {
    /// Name of the file.
    public var name: String
    /// Strength.
    public var scale: Double
    /// Weights that were changed.
    public var matched: Int
    /// Keys that belong to no layer of the model.
    public var unmatched: Int
    /// Keys that belong to a layer and changed nothing.
    public var unused: Int
    /// What the user should know, if anything.
    public var warning: String?

    /// All fields.
    public init(
        name: String, scale: Double, matched: Int, unmatched: Int = 0, unused: Int = 0,
        warning: String? = nil
    ) {
        self.name = name
        self.scale = scale
        self.matched = matched
        self.unmatched = unmatched
        self.unused = unused
        self.warning = warning
    }
}
