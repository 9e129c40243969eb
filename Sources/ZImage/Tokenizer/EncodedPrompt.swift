// Part of Inkstone. Licence: see LICENSE.

/// Token ids of a prompt in its chat template.
public struct EncodedPrompt: Sendable, Equatable {
    /// The input of the text encoder; not padded.
    public let ids: [Int32]
    /// Number of ids before truncation.
    public let fullLength: Int

    /// Whether the end of the prompt and of the template was cut off.
    public var truncated: Bool { fullLength > ids.count }
}
