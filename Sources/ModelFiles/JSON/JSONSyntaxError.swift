// Part of Inkstone. Licence: see LICENSE.

/// Why some bytes are not a JSON document.
package struct JSONSyntaxError: Error, Sendable, Equatable {
    /// Coarse reason.
    package enum Kind: Sendable {
        /// The bytes do not follow the grammar, or a caller expected another value.
        case syntax
        /// Arrays and objects are nested deeper than the limit.
        case nesting
        /// There are more values than the limit.
        case valueCount
        /// A key is longer than the limit.
        case keyLength
    }

    /// Coarse reason.
    package let kind: Kind
    /// What was expected and found, as a clause without a full stop.
    package let reason: String
    /// Byte at which it was noticed.
    package let offset: Int
}
