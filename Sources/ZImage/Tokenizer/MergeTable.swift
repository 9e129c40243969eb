// Part of Inkstone. Licence: see LICENSE.

/// Merges of two tokens, with their ranks.
///
/// A hash table with open addressing and a hash of one multiplication, since encoding spends most of
/// its time on this lookup.
struct MergeTable: Sendable {
    /// A merge as `rank << 32 | id of the result`, so that a smaller one comes first.
    typealias Merge = UInt64

    /// "These two do not merge"; later than any merge.
    static let none = Merge.max

    private var keys: [UInt64]
    private var merges: [Merge]
    private let mask: Int

    /// Creates an empty table for `capacity` merges.
    init(capacity: Int) {
        var slots = 16
        while slots < capacity * 2 { slots *= 2 }
        keys = Array(repeating: 0, count: slots)
        merges = Array(repeating: Self.none, count: slots)
        mask = slots - 1
    }

    /// Adds a merge; of two for the same pair the later one is used, as in the reference.
    mutating func insert(_ left: Int32, _ right: Int32, rank: Int, result: Int32) {
        let key = Self.key(left, right)
        var slot = slot(key)
        while merges[slot] != Self.none, keys[slot] != key { slot = (slot + 1) & mask }
        keys[slot] = key
        merges[slot] = Merge(rank) << 32 | Merge(UInt32(bitPattern: result))
    }

    /// Returns the merge of two neighbours, or `none`.
    @inline(__always)
    func find(_ left: Int32, _ right: Int32) -> Merge {
        let key = Self.key(left, right)
        var slot = slot(key)
        while merges[slot] != Self.none {
            if keys[slot] == key { return merges[slot] }
            slot = (slot + 1) & mask
        }
        return Self.none
    }

    /// Returns the result of a merge.
    @inline(__always)
    static func result(_ merge: Merge) -> Int32 {
        Int32(truncatingIfNeeded: merge)
    }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private func slot(_ key: UInt64) -> Int {
        // Fibonacci hashing: the high bits of the product depend on every bit of the key.
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    }
}
