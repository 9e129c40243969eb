// Part of Inkstone. Licence: see LICENSE.

/// An error while reading a tokenizer's files.
public struct TokenizerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Coarse reason; switch on this.
    public enum Code: Sendable {
        /// A required folder or file does not exist.
        case notFound
        /// A file does not contain a byte-level BPE vocabulary.
        case malformed
        /// A file requires something that this tokenizer does not support.
        case unsupported
    }

    /// Coarse reason.
    public let code: Code
    /// One sentence: which file, what was expected, what was found.
    public let message: String
    /// What the user can do, or `nil`.
    public let remedy: String?

    /// The message and the remedy, in one line.
    public var description: String {
        [message, remedy].compactMap(\.self).joined(separator: " ")
    }

    static func notFound(_ message: String) -> TokenizerError {
        TokenizerError(
            code: .notFound,
            message: oneLine(message),
            remedy: "Copy the checkpoint's whole tokenizer folder."
        )
    }

    static func malformed(_ message: String) -> TokenizerError {
        TokenizerError(
            code: .malformed,
            message: oneLine(message),
            remedy: "Fetch the file again from the checkpoint's source."
        )
    }

    static func unsupported(_ message: String) -> TokenizerError {
        TokenizerError(
            code: .unsupported,
            message: oneLine(message),
            remedy: "Use the Qwen tokenizer files that come with a Z-Image checkpoint."
        )
    }

    /// Returns a message as one line of bounded length, whatever it quotes from a file.
    private static func oneLine(_ message: String) -> String {
        let limit = 400
        let line = String(
            String.UnicodeScalarView(
                message.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }
            )
        )
        return line.count <= limit ? line : line.prefix(limit - 2) + "…."
    }
}
