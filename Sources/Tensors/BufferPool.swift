// Part of Inkstone. Licence: see LICENSE.

import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A free list of aligned memory, so that steps after the first allocate nothing.
///
/// Batches of mixed requests ask for ever new sizes. Memory that has not been used while
/// ``period`` blocks were asked for is therefore returned to the operating system.
package final class BufferPool: Sendable {
    private struct Block: @unchecked Sendable {
        // Unchecked: memory without other references, owned by the list.
        let address: UnsafeMutableRawPointer
        let capacity: Int
        /// The period in which it was used last.
        let period: Int
    }

    private struct State {
        var blocks: [Block] = []
        /// Blocks that were asked for.
        var requests = 0

        var period: Int { requests / BufferPool.period }
    }

    private let free = Mutex(State())

    /// Blocks that are asked for between two searches for memory without use: tens of passes of the largest
    /// model.
    package static let period = 1 << 14
    /// Most unused memory that is retained when new memory is allocated.
    private static let idleLimit = 1 << 30
    /// Size of a large page; larger blocks use large pages, which fault in faster.
    private static let largePage = 2 << 20

    /// Creates an empty list.
    package init() {}

    deinit { trim() }

    /// Returns at least `bytes` of memory, aligned to 64 bytes, with unspecified content.
    package func allocate(_ bytes: Int) -> (address: UnsafeMutableRawPointer, capacity: Int) {
        let (reused, unused) = free.withLock { state in
            (Self.take(bytes, from: &state.blocks), Self.advance(&state))
        }
        unused.forEach { release($0.address) }
        if let reused { return (reused.address, reused.capacity) }
        if bytes + idleBytes > Self.idleLimit { trim() }
        return Self.newMemory(bytes)
    }

    /// Removes the block that fits best.
    private static func take(_ bytes: Int, from blocks: inout [Block]) -> Block? {
        // Best fit, at most a quarter larger; among equals the most recently used, which is
        // likely still in cache.
        var best: Int?
        var least = bytes + bytes / 4 + 4096
        for index in blocks.indices.reversed() {
            let capacity = blocks[index].capacity
            guard capacity >= bytes, capacity < least || (capacity == least && best == nil)
            else { continue }
            (best, least) = (index, capacity)
            if capacity < bytes + 64 { break }
        }
        guard let best else { return nil }
        blocks.swapAt(best, blocks.count - 1)
        return blocks.removeLast()
    }

    /// Counts a request, and removes the blocks without use in the period that ends with it.
    private static func advance(_ state: inout State) -> [Block] {
        let period = state.period
        state.requests += 1
        guard state.period != period else { return [] }
        let unused = state.blocks.filter { $0.period < period }
        state.blocks.removeAll { $0.period < period }
        return unused
    }

    private static func newMemory(
        _ bytes: Int
    ) -> (address: UnsafeMutableRawPointer, capacity: Int) {
        let capacity = max(64, (bytes + 63) / 64 * 64)
        var address: UnsafeMutableRawPointer?
        guard posix_memalign(&address, 64, capacity) == 0, let address else {
            // Sizes are checked against the machine's memory before generation starts.
            fatalError("out of memory: \(capacity) bytes were requested")
        }
        #if os(Linux)
            // Only pages inside the block: blocks aligned to large pages would all map to the same
            // sets of the L2 cache.
            let page = largePage
            let first = UnsafeMutableRawPointer(
                bitPattern: (UInt(bitPattern: address) + UInt(page) - 1) / UInt(page) * UInt(page))
            let lead = first.map { $0 - address } ?? capacity
            if let first, capacity - lead >= page {
                _ = madvise(first, (capacity - lead) / page * page, MADV_HUGEPAGE)
            }
        #endif
        return (address, capacity)
    }

    /// Bytes of the free list.
    package var idleBytes: Int {
        free.withLock { $0.blocks.reduce(0) { $0 + $1.capacity } }
    }

    /// Adds memory from `allocate` to the free list.
    package func recycle(_ address: UnsafeMutableRawPointer, capacity: Int) {
        free.withLock { state in
            state.blocks.append(
                Block(address: address, capacity: capacity, period: state.period))
        }
    }

    /// Returns all unused memory to the operating system.
    package func trim() {
        let blocks = free.withLock { state in
            defer { state.blocks = [] }
            return state.blocks
        }
        for block in blocks {
            release(block.address)
        }
    }
}

/// Memory from a pool, recycled with the last reference.
final class PooledBuffer: @unchecked Sendable {
    // Unchecked: a backend runs one operation at a time, and a buffer has one writer.
    let address: UnsafeMutableRawPointer
    private let capacity: Int
    private let pool: BufferPool

    init(bytes: Int, pool: BufferPool) {
        (address, capacity) = pool.allocate(bytes)
        self.pool = pool
    }

    deinit { pool.recycle(address, capacity: capacity) }
}

/// Calls the C library's `free`, which `BufferPool.free` shadows.
private func release(_ address: UnsafeMutableRawPointer) {
    free(address)
}
