// Part of Inkstone. Licence: see LICENSE.

/// Two slots of memory for weights that are copied to the device when they are used: while kernels read one
/// slot, copies fill the other.
package struct StreamSlots: Sendable {
    /// Bytes of a slot.
    package let capacity: Int
    /// The slot that is being filled.
    package private(set) var current = 0
    private var used = 0
    /// The last submission of kernels that can read each slot.
    private var readBy: [UInt64]
    /// Submission of kernels whose end a copy to the current slot waits for: the last one that read what the
    /// copy replaces.
    package private(set) var writableAfter: UInt64

    /// Number of slots.
    package static let count = 2
    /// Alignment of places.
    package static let alignment = 256

    /// Creates empty slots.
    ///
    /// - Parameters:
    ///   - capacity: bytes of a slot.
    ///   - submission: the last submission that used their memory for something else.
    package init(capacity: Int, after submission: UInt64) {
        self.capacity = capacity
        readBy = Array(repeating: submission, count: Self.count)
        writableAfter = submission
    }

    /// Returns the offset of `bytes` in the current slot, or `nil` if it has too little room left.
    package mutating func reserve(_ bytes: Int) -> Int? {
        precondition(bytes <= capacity, "\(bytes) bytes in a slot of \(capacity)")
        guard used + bytes <= capacity else { return nil }
        defer { used += Self.aligned(bytes) }
        return used
    }

    /// Goes on with the next slot, whose content is replaced.
    ///
    /// - Parameter submission: the last submission that is queued; what reads the current slot is in it or an
    ///   earlier one.
    package mutating func advance(queued submission: UInt64) {
        readBy[current] = submission
        current = (current + 1) % Self.count
        used = 0
        writableAfter = readBy[current]
    }

    /// Rounds up to the alignment of places.
    package static func aligned(_ bytes: Int) -> Int {
        (bytes + alignment - 1) / alignment * alignment
    }
}
