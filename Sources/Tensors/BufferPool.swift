// Part of Inkstone. Licence: see LICENSE.

import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Hands out aligned memory and takes it back, so that a step after the first allocates nothing.
final class BufferPool: Sendable {
    private struct Block: @unchecked Sendable {
        // Unchecked: plain memory that is owned by the list while it is in the list.
        let address: UnsafeMutableRawPointer
        let capacity: Int
    }

    private let free = Mutex<[Block]>([])
    /// Unused memory that may be kept while new memory is needed.
    private static let idleLimit = 1 << 30
    /// Memory from here on is asked for in large pages, which the system hands out faster.
    private static let largePage = 2 << 20

    deinit { trim() }

    /// At least `bytes` of memory, aligned to 64 bytes, content unspecified.
    func take(_ bytes: Int) -> (address: UnsafeMutableRawPointer, capacity: Int) {
        let reused = free.withLock { blocks -> Block? in
            // The snuggest fit, and no block more than a quarter too large; of equals the one that
            // came back last, which caches still know.
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
        if let reused { return (reused.address, reused.capacity) }
        if bytes + idleBytes > Self.idleLimit { trim() }
        let capacity = max(64, (bytes + 63) / 64 * 64)
        var address: UnsafeMutableRawPointer?
        guard posix_memalign(&address, 64, capacity) == 0, let address else {
            // Sizes were checked against the memory of the machine before work began.
            fatalError("out of memory: \(capacity) bytes were asked for")
        }
        #if os(Linux)
            // Only the pages within: memory that begins at a large page shares its places in the
            // second-level cache with all other such memory.
            let page = Self.largePage
            let first = UnsafeMutableRawPointer(
                bitPattern: (UInt(bitPattern: address) + UInt(page) - 1) / UInt(page) * UInt(page))
            let lead = first.map { $0 - address } ?? capacity
            if let first, capacity - lead >= page {
                _ = madvise(first, (capacity - lead) / page * page, MADV_HUGEPAGE)
            }
        #endif
        return (address, capacity)
    }

    private var idleBytes: Int {
        free.withLock { $0.reduce(0) { $0 + $1.capacity } }
    }

    /// Takes memory back that `take` handed out.
    func give(_ address: UnsafeMutableRawPointer, capacity: Int) {
        free.withLock { $0.append(Block(address: address, capacity: capacity)) }
    }

    /// Returns all unused memory to the system.
    func trim() {
        let blocks = free.withLock { blocks in
            defer { blocks = [] }
            return blocks
        }
        for block in blocks {
            release(block.address)
        }
    }
}

/// Pooled memory; goes back to its pool with the last reference.
final class PooledBuffer: @unchecked Sendable {
    // Unchecked: a backend runs one operation at a time, and hands a buffer to one writer.
    let address: UnsafeMutableRawPointer
    private let capacity: Int
    private let pool: BufferPool

    init(bytes: Int, pool: BufferPool) {
        (address, capacity) = pool.take(bytes)
        self.pool = pool
    }

    deinit { pool.give(address, capacity: capacity) }
}

/// The C library's `free`, which `BufferPool.free` hides.
private func release(_ address: UnsafeMutableRawPointer) {
    free(address)
}
