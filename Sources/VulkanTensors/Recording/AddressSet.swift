// Part of Inkstone. Licence: see LICENSE.

/// A set of addresses, stored as ranges.
package struct AddressSet: Sendable, Equatable {
    /// Ranges in ascending order; those that touch are joined.
    package private(set) var ranges: [Range<UInt64>] = []

    /// Creates an empty set.
    package init() {}

    /// Whether the set has an address of a range.
    package func intersects(_ range: DeviceRange) -> Bool {
        guard range.bytes > 0 else { return false }
        let index = firstIndex(endingAfter: range.address)
        return index < ranges.count
            && ranges[index].lowerBound < range.address + UInt64(range.bytes)
    }

    /// Adds the addresses of a range.
    package mutating func insert(_ range: DeviceRange) {
        guard range.bytes > 0 else { return }
        var start = range.address
        var end = start + UInt64(range.bytes)
        // A range that ends where the new one begins is joined too; no address precedes 0.
        let first = firstIndex(endingAfter: start == 0 ? 0 : start - 1)
        var last = first
        while last < ranges.count, ranges[last].lowerBound <= end {
            start = min(start, ranges[last].lowerBound)
            end = max(end, ranges[last].upperBound)
            last += 1
        }
        ranges.replaceSubrange(first..<last, with: CollectionOfOne(start..<end))
    }

    /// Removes everything.
    package mutating func removeAll() { ranges.removeAll(keepingCapacity: true) }

    private func firstIndex(endingAfter address: UInt64) -> Int {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= address { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
