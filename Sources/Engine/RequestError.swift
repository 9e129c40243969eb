// Part of Inkstone. Licence: see LICENSE.

/// Why a request cannot be served as it stands.
public struct RequestError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Name of the offending field, as the request type spells it.
    public let field: String
    /// One sentence: what was expected and what came.
    public let message: String

    /// An error about `field`.
    public init(field: String, message: String) {
        self.field = field
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
