// Part of Inkstone. Licence: see LICENSE.

/// A prompt inside its chat template, as token ids.
public struct EncodedPrompt: Sendable, Equatable {
    /// The ids that the text encoder sees; never padded.
    public let ids: [Int32]
    /// How many ids the whole templated prompt has, before any were cut off.
    public let fullLength: Int

    /// Whether the end of the prompt, and the template's closing words with it, were cut off.
    public var truncated: Bool { fullLength > ids.count }
}
