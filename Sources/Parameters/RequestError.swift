// Part of Inkstone. Licence: see LICENSE.

/// Why a request cannot be served as it stands.
public struct RequestError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Name of the field in the words of clients.
    public let field: String
    /// One sentence: what was expected, and the value received.
    public let message: String

    /// An error about `field`.
    public init(field: String, message: String) {
        self.field = field
        self.message = message
    }

    /// The message.
    public var description: String { message }
}

extension RequestError {
    /// Throws unless `value` is in `range`.
    package static func check<Value: Comparable>(
        _ value: Value, _ field: String, in range: ClosedRange<Value>
    ) throws(RequestError) {
        guard range.contains(value) else {
            throw RequestError(
                field: field,
                message: "\(field) must be between \(range.lowerBound) and \(range.upperBound),"
                    + " got \(value).")
        }
    }
}
