// Part of Inkstone. Licence: see LICENSE.

/// The sequences of a ragged batch: sequence `s` has rows `offsets[s] ..< offsets[s + 1]`.
public struct Segments: Sendable, Equatable {
    /// First row of each sequence, then the number of rows.
    public let offsets: [Int]

    /// Creates consecutive sequences of the given lengths.
    public init(lengths: [Int]) {
        var offsets = [0]
        for length in lengths {
            offsets.append(offsets[offsets.count - 1] + length)
        }
        self.offsets = offsets
    }

    /// Number of sequences.
    public var count: Int { offsets.count - 1 }
    /// Number of rows.
    public var rows: Int { offsets[offsets.count - 1] }

    /// Returns the rows of sequence `index`.
    public func range(_ index: Int) -> Range<Int> { offsets[index]..<offsets[index + 1] }

    /// Returns the sequence that contains `row`.
    public func sequence(of row: Int) -> Int? {
        offsets.indices.dropLast().first { offsets[$0] <= row && row < offsets[$0 + 1] }
    }
}
