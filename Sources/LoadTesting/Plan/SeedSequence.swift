// Part of Inkstone. Licence: see LICENSE.

/// The image seeds of a run: 31 bits, without repetition.
package struct SeedSequence: Sendable {
    /// Number of requests of one visit with distinct seeds.
    package static let perVisit = 1 << 20

    private let keys: [UInt32]

    package init(seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        keys = (0..<4).map { _ in UInt32(truncatingIfNeeded: generator.next()) & 0x7FFF_FFFF }
    }

    /// The seed of a request.
    ///
    /// The request's number in the run is mapped by a permutation of 31 bits, so different requests
    /// have different seeds for every seed of the run.
    ///
    /// - Parameters:
    ///   - visit: index of the visit in the whole run, below 2048.
    ///   - sequence: position in the visit, below `perVisit`.
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
