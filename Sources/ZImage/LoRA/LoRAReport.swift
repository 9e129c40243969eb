// Part of Inkstone. Licence: see LICENSE.

/// Which keys of a LoRA file matched a layer of a model.
public struct LoRAReport: Sendable, Codable, Equatable {
    /// Name of the file.
    public var name: String
    /// Scale with which it was applied.
    public var scale: Double
    /// Weights that it changes; one matrix for queries, keys and values counts as three.
    public var matched: Int
    /// Keys that were used for these changes.
    public var matchedKeys: Int
    /// Keys that belong to no layer of this model, sorted.
    public var unmatched: [String]
    /// Keys that belong to a layer and change nothing, sorted: duplicates, keys of a layer that does
    /// not run, and keys of an unknown kind.
    public var unused: [String]

    /// A warning for the user, or `nil` if every key matched a layer.
    public var warning: String? {
        guard let example = unmatched.first else { return nil }
        let count = unmatched.count
        return "LoRA '\(name)' changed \(matched) layers, but \(count)"
            + " \(count == 1 ? "key belongs" : "keys belong") to no layer of this model, such as"
            + " '\(example)'."
    }
}
