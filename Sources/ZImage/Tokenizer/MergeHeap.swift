// Part of Inkstone. Licence: see LICENSE.

/// A heap of the pending merges of a long piece, earliest rank first, then leftmost.
struct MergeHeap {
    /// `rank << 32 | place`, in heap order.
    private var entries: [UInt64] = []

    /// Adds the merge of the pair at a position; ignores `none`.
    mutating func push(_ merge: MergeTable.Merge, at place: Int) {
        guard merge != MergeTable.none else { return }
        let entry = merge & ~0xFFFF_FFFF | UInt64(place)
        var child = entries.count
        entries.append(entry)
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[parent] > entry else { break }
            entries[child] = entries[parent]
            child = parent
        }
        entries[child] = entry
    }

    /// Removes and returns the first merge.
    mutating func pop() -> (rank: UInt64, place: Int)? {
        guard let first = entries.first, let last = entries.popLast() else { return nil }
        if !entries.isEmpty {
            var parent = 0
            while true {
                var child = 2 * parent + 1
                guard child < entries.count else { break }
                if child + 1 < entries.count, entries[child + 1] < entries[child] { child += 1 }
                guard entries[child] < last else { break }
                entries[parent] = entries[child]
                parent = child
            }
            entries[parent] = last
        }
        return (first >> 32, Int(truncatingIfNeeded: first & 0xFFFF_FFFF))
    }
}
