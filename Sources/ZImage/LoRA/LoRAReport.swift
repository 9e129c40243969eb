// Part of Inkstone. Licence: see LICENSE.

/// Which keys of a LoRA file matched a layer of a model.
public struct LoRAReport: Sendable, Codable, Equatable {
    /// Name of the file.
    public var name: String
    /// Scale with which it was applied.
    public var scale: Double
    /// Scale of the changes of the text encoder; `nil` if it is ``scale``.
    public var textScale: Double?
    /// Weights that it changes; one matrix for queries, keys and values counts as three.
    public var matched: Int
    /// Keys that were used for these changes.
    public var matchedKeys: Int
    /// Keys that belong to no layer of this model, sorted.
    public var unmatched: [String]
    /// Keys that belong to a layer and change nothing, sorted: duplicates, keys of a layer that does
    /// not run, and keys of an unknown kind.
    public var unused: [String]
    /// alpha / rank of the layers, ascending, without repetitions, at most 16.
    public var factors: [Double]?
    /// The places of the alphas that were used; empty if none was found.
    public var alphaOrigins: [String]?
    /// The hash by which A1111 and sites that publish LoRA files know it; `nil` where a file was only matched.
    public var hash: String?
    /// What was found beside the tensors and had no effect, in sentences.
    public var notes: [String]?

    /// A warning for the user, or `nil` if every key matched a layer and nothing else was left out.
    public var warning: String? {
        var sentences: [String] = []
        if let example = unmatched.first {
            let count = unmatched.count
            sentences.append(
                "LoRA '\(name)' changed \(matched) layers, but \(count)"
                    + " \(count == 1 ? "key belongs" : "keys belong") to no layer of this model, such as"
                    + " '\(example)'.")
        }
        if let notes, !notes.isEmpty {
            sentences.append("LoRA '\(name)': \(notes.joined(separator: " "))")
        }
        return sentences.isEmpty ? nil : sentences.joined(separator: " ")
    }
}
