// Part of Inkstone. Licence: see LICENSE.

/// Encodes pieces of one text to ids: bytes first, then the earliest merge, leftmost first, until none
/// applies.
///
/// An encoder serves one text, so that its cache and workspace need no lock.
struct PieceEncoder {
    /// The ids of all pieces encoded so far.
    private(set) var ids: [Int32] = []

    private let byteIds: [Int32]
    private let merges: MergeTable
    private var cache: [CachedPiece]
    private var symbols: [Int32] = []
    private var pending: [MergeTable.Merge] = []

    /// A piece that was encoded before: its range in the text and the range of its ids.
    private struct CachedPiece {
        var start = 0
        var count = 0
        var firstId = 0
        var idCount = 0
    }

    /// Length of the longest cached piece; longer ones rarely repeat.
    private static let longestCached = 64
    /// Up to this many bytes all pairs are scanned for each merge; longer pieces use a heap.
    private static let longestScanned = 64
    private static let largestCache = 4096

    /// - Parameters:
    ///   - byteIds: The id of each single byte, by its value.
    ///   - merges: The merges of the vocabulary.
    ///   - textLength: Bytes of the text; bounds the size of the cache.
    init(byteIds: [Int32], merges: MergeTable, textLength: Int) {
        self.byteIds = byteIds
        self.merges = merges
        var slots = 16
        while slots < min(textLength / 4, Self.largestCache) { slots *= 2 }
        cache = Array(repeating: CachedPiece(), count: slots)
        ids.reserveCapacity(textLength / 3)
    }

    /// Appends an id that needs no encoding.
    mutating func append(_ id: Int32) {
        ids.append(id)
    }

    /// Appends the ids of one piece.
    ///
    /// - Parameters:
    ///   - piece: Range of the piece; not empty.
    ///   - text: The whole text, the same in every call.
    mutating func append(_ piece: Range<Int>, of text: borrowing Span<UInt8>) {
        guard piece.count > 1 else {
            ids.append(byteIds[Int(text[piece.lowerBound])])
            return
        }
        guard piece.count <= Self.longestCached else {
            merge(piece, of: text)
            return
        }
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in piece { hash = (hash ^ UInt64(text[index])) &* 0x0000_0100_0000_01B3 }
        let slot = Int(truncatingIfNeeded: hash ^ hash >> 32) & (cache.count - 1)
        let known = cache[slot]
        if known.count == piece.count, Self.areEqual(text, known.start, piece) {
            for index in known.firstId..<known.firstId + known.idCount { ids.append(ids[index]) }
            return
        }
        let firstId = ids.count
        merge(piece, of: text)
        cache[slot] = CachedPiece(
            start: piece.lowerBound,
            count: piece.count,
            firstId: firstId,
            idCount: ids.count - firstId
        )
    }

    private static func areEqual(
        _ text: borrowing Span<UInt8>,
        _ start: Int,
        _ piece: Range<Int>
    ) -> Bool {
        for offset in 0..<piece.count
        where text[start + offset] != text[piece.lowerBound + offset] {
            return false
        }
        return true
    }

    private mutating func merge(_ piece: Range<Int>, of text: borrowing Span<UInt8>) {
        symbols.removeAll(keepingCapacity: true)
        pending.removeAll(keepingCapacity: true)
        for index in piece { symbols.append(byteIds[Int(text[index])]) }
        for index in 1..<symbols.count {
            pending.append(merges.find(symbols[index - 1], symbols[index]))
        }
        if piece.count <= Self.longestScanned {
            mergeByScanning()
        } else {
            mergeByHeap()
        }
    }

    /// Merges by scanning for the earliest pair each time: quadratic, but without a heap.
    private mutating func mergeByScanning() {
        while true {
            var best = 0
            for index in pending.indices where pending[index] < pending[best] { best = index }
            guard best < pending.count, pending[best] != MergeTable.none else { break }
            symbols[best] = MergeTable.result(pending[best])
            symbols.remove(at: best + 1)
            pending.remove(at: best)
            if best > 0 { pending[best - 1] = merges.find(symbols[best - 1], symbols[best]) }
            if best < pending.count {
                pending[best] = merges.find(symbols[best], symbols[best + 1])
            }
        }
        ids += symbols
    }

    /// Merges from a heap of pairs, so that a piece of a megabyte takes half a second and not a day.
    ///
    /// Symbols are a linked list in place; an absorbed one has no pending merge. A heap entry is stale,
    /// and skipped, when its rank is no longer that of the pair at its position.
    ///
    /// - Complexity: O(n log n).
    private mutating func mergeByHeap() {
        let count = symbols.count
        pending.append(MergeTable.none)
        var next = (0..<count).map { $0 + 1 }
        var previous = (0..<count).map { $0 - 1 }
        var heap = MergeHeap()
        for index in 0..<count { heap.push(pending[index], at: index) }

        while let (rank, left) = heap.pop() {
            guard pending[left] != MergeTable.none, pending[left] >> 32 == rank else { continue }
            let right = next[left]
            symbols[left] = MergeTable.result(pending[left])
            pending[right] = MergeTable.none
            next[left] = next[right]
            pending[left] = MergeTable.none
            if next[left] < count {
                previous[next[left]] = left
                pending[left] = merges.find(symbols[left], symbols[next[left]])
                heap.push(pending[left], at: left)
            }
            let before = previous[left]
            if before >= 0 {
                pending[before] = merges.find(symbols[before], symbols[left])
                heap.push(pending[before], at: before)
            }
        }
        var index = 0
        while index < count {
            ids.append(symbols[index])
            index = next[index]
        }
    }
}
