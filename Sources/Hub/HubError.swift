// Part of Inkstone. Licence: see LICENSE.

/// What went wrong while a model was fetched or removed.
public struct HubError: Error, Sendable, CustomStringConvertible {
    /// Coarse reason; switch on this.
    public enum Code: Sendable, Equatable {
        /// An address, a name or a file list makes no sense.
        case usage
        /// The hub has no such repository, revision or file.
        case notFound
        /// The hub requires a token, or a different one.
        case denied
        /// The hub could not be reached, or the transfer was interrupted.
        case network
        /// The content received is not what the hub announced.
        case corrupt
        /// The repository holds nothing that this program can run.
        case unsupported
        /// The disk is full, or not writable.
        case disk
        /// Another process fetches the same model.
        case busy
    }

    /// Coarse reason.
    public let code: Code
    /// One sentence: what was expected, what was found, what to do.
    public let description: String

    /// An error of the given code.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
