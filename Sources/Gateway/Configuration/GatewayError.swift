// Part of Inkstone. Licence: see LICENSE.

/// An error at the start of the listeners.
public struct GatewayError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Coarse reason; switch on this.
    public enum Code: Sendable, Equatable {
        /// The address is reachable from other machines and no key is required.
        case remoteWithoutKeys
        /// Another program has the port.
        case addressInUse
        /// The address or the port cannot be used.
        case cannotListen
    }

    /// Coarse reason.
    public let code: Code
    /// One sentence: what happened and what to do.
    public let message: String

    /// An error of the given code.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
