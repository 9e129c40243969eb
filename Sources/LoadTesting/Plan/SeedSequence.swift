// Part of Inkstone. Licence: see LICENSE.

/// Image seeds of a run: 31 bits, none twice.
package struct SeedSequence: Sendable {
    /// Requests of one visit that have numbers of their own.
    package static let perVisit = 1 << 20

    private let keys: [UInt32]

    package init(seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        keys = (0..<4).map { _ in UInt32(truncatingIfNeeded: generator.next()) & 0x7FFF_FFFF }
    }

    /// The seed of a request.
    ///
    /// A one-to-one map of 31 bits is applied to the request's number in the run, so different
    /// requests have different seeds whatever the run's seed is.
    ///
    /// - Parameters:
    ///   - visit: index of the visit in the whole run, below 2048.
    ///   - sequence: place in it, below `perVisit`.
    /// - Returns: 31 bits.
    package func seed(visit: Int, sequence: Int) -> UInt32 {
        precondition((0..<2048).contains(visit) && (0..<Self.perVisit).contains(sequence))
        var value = UInt32(visit << 20 | sequence)
        for key in keys {
            value ^= key
            value = value &* 0x2C1B_3C6D & 0x7FFF_FFFF
            value ^= value >> 15
        }
        return value
    }
}
