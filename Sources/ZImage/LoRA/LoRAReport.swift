// Part of Inkstone. Licence: see LICENSE.

/// Which keys of a LoRA file found their layer.
public struct LoRAReport: Sendable, Codable, Equatable {
    /// Name of the file.
    public var name: String
    /// Strength it was applied with.
    public var scale: Double
    /// Weights that it changes; one matrix for queries, keys and values counts as three.
    public var matched: Int
    /// Keys that took part in that.
    public var matchedKeys: Int
    /// Keys that belong to no layer of this model, sorted.
    public var unmatched: [String]
    /// Keys that belong to a layer and change nothing, sorted: said twice, of a layer that does not
    /// run, or of a kind that is not known.
    public var unused: [String]

    /// What a user should know, or `nil` where every key found its layer.
    public var warning: String? {
        guard let example = unmatched.first else { return nil }
        let count = unmatched.count
        return "LoRA '\(name)' changed \(matched) layers, but \(count)"
            + " \(count == 1 ? "key belongs" : "keys belong") to no layer of this model, such as"
            + " '\(example)'."
    }
}
