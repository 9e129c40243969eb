// Part of Inkstone. Licence: see LICENSE.

/// The free parts of a block of memory.
package struct FreeRanges: Sendable, Equatable {
    /// Size of the block.
    package let capacity: Int
    /// Free parts in ascending order; neighbours are joined.
    package private(set) var ranges: [Range<Int>]

    /// Creates the ranges of a block without users.
    package init(capacity: Int) {
        self.capacity = capacity
        ranges = [0..<capacity]
    }

    /// Whether nothing is in use.
    package var isWhole: Bool { ranges == [0..<capacity] }

    /// Returns the smallest free part with at least `bytes`; among equals the first.
    package func bestFit(_ bytes: Int) -> Range<Int>? {
        var best: Range<Int>?
        for range in ranges where range.count >= bytes && range.count < best?.count ?? .max {
            best = range
            if range.count == bytes { break }
        }
        return best
    }

    /// Removes the beginning of a free part, and returns its offset.
    package mutating func take(_ bytes: Int, of range: Range<Int>) -> Int {
        let index = firstIndex(from: range.lowerBound)
        precondition(
            index < ranges.count && ranges[index] == range && range.count >= bytes, "not free")
        let rest = (range.lowerBound + bytes)..<range.upperBound
        if rest.isEmpty { ranges.remove(at: index) } else { ranges[index] = rest }
        return range.lowerBound
    }

    /// Adds a part that is no longer in use.
    package mutating func insert(_ range: Range<Int>) {
        var joined = range
        var index = firstIndex(from: range.lowerBound)
        precondition(
            (index == ranges.count || range.upperBound <= ranges[index].lowerBound)
                && (index == 0 || ranges[index - 1].upperBound <= range.lowerBound),
            "freed twice")
        if index < ranges.count, ranges[index].lowerBound == joined.upperBound {
            joined = joined.lowerBound..<ranges[index].upperBound
            ranges.remove(at: index)
        }
        if index > 0, ranges[index - 1].upperBound == joined.lowerBound {
            index -= 1
            joined = ranges[index].lowerBound..<joined.upperBound
            ranges.remove(at: index)
        }
        ranges.insert(joined, at: index)
    }

    /// Index of the first range that begins at `offset` or later.
    private func firstIndex(from offset: Int) -> Int {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].lowerBound < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
