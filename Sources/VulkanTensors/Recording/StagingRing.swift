// Part of Inkstone. Licence: see LICENSE.

/// Places in memory that uploads pass through, each in use until its submission is finished.
package struct StagingRing: Sendable {
    /// Size of the memory.
    package let capacity: Int
    /// Bytes that were ever reserved, including those skipped at the end of the memory.
    private var head = 0
    /// Bytes of these that are free again.
    private var tail = 0
    /// Where each submission's places end, in order.
    private var submissions: [(end: Int, value: UInt64)] = []

    /// Creates a ring without users.
    package init(capacity: Int) { self.capacity = capacity }

    /// The earliest submission that uses the memory.
    package var oldest: UInt64? { submissions.first?.value }

    /// Bytes that a submission uses, if it is the latest.
    package func bytes(of value: UInt64) -> Int {
        guard let last = submissions.last, last.value == value else { return 0 }
        return last.end - (submissions.dropLast().last?.end ?? tail)
    }

    /// Returns the offset of `bytes` for submission `value`, or `nil` until an earlier one is finished.
    ///
    /// At most half of the capacity can be requested, which fits in any case into a ring without users.
    package mutating func reserve(_ bytes: Int, for value: UInt64) -> Int? {
        precondition(bytes <= capacity / 2, "\(bytes) bytes of \(capacity)")
        var start = head
        if start % capacity + bytes > capacity { start += capacity - start % capacity }
        guard start + bytes - tail <= capacity else { return nil }
        // Copies of a device prefer aligned places.
        head = start + (bytes + 63) / 64 * 64
        if submissions.last?.value == value {
            submissions[submissions.count - 1].end = head
        } else {
            submissions.append((head, value))
        }
        return start % capacity
    }

    /// Frees the places of all submissions up to `completed`.
    package mutating func release(completed: UInt64) {
        while let first = submissions.first, first.value <= completed {
            tail = first.end
            submissions.removeFirst()
        }
    }
}
