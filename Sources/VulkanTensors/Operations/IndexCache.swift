// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// Tables that kernels need of the sequences of a batch, kept for the layers that follow.
struct IndexCache {
    /// What a table is made of.
    private enum Key: Equatable {
        case segments(Segments)
        case tiles(Segments, Segments, size: Int)
    }

    private var entries: [(key: Key, buffer: DeviceBuffer, count: Int)] = []
    /// Batches whose tables are kept.
    private static let capacity = 16

    /// Returns the sequence of each row.
    mutating func sequences(_ segments: Segments, _ backend: VulkanBackend) -> DeviceBuffer {
        entry(.segments(segments), backend) {
            (0..<segments.count).flatMap { index in
                Array(repeating: UInt32(index), count: segments.range(index).count)
            }
        }.buffer
    }

    /// Returns the tiles of queries of all sequences, each
    /// `[first key, keys, first query, queries, row of the result, sequence]`, and their number.
    ///
    /// `size` is the number of queries of a tile, except for the last one of a sequence.
    mutating func tiles(
        _ segments: Segments, queries: Segments, size: Int, _ backend: VulkanBackend
    ) -> (buffer: DeviceBuffer, count: Int) {
        let words = 6
        let found = entry(.tiles(segments, queries, size: size), backend) {
            var table: [UInt32] = []
            for index in 0..<segments.count {
                let (keys, rows) = (segments.range(index), queries.range(index))
                for first in stride(from: 0, to: rows.count, by: size) {
                    table += [
                        UInt32(keys.lowerBound), UInt32(keys.count),
                        UInt32(keys.lowerBound + first),
                        UInt32(min(size, rows.count - first)),
                        UInt32(rows.lowerBound + first), UInt32(index),
                    ]
                }
            }
            return table
        }
        return (found.buffer, found.count / words)
    }

    private mutating func entry(
        _ key: Key, _ backend: VulkanBackend, _ make: () -> [UInt32]
    ) -> (buffer: DeviceBuffer, count: Int) {
        if let index = entries.firstIndex(where: { $0.key == key }) {
            let found = entries.remove(at: index)
            entries.append(found)
            return (found.buffer, found.count)
        }
        let words = make()
        let buffer = backend.upload(words)
        if entries.count == Self.capacity { entries.removeFirst() }
        entries.append((key, buffer, words.count))
        return (buffer, words.count)
    }
}
