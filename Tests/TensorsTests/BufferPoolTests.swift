// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

/// Memory of operations that is used again.
@Suite("The pool of buffers")
struct BufferPoolTests {
    private func use(_ bytes: Int, of pool: BufferPool) -> UnsafeMutableRawPointer {
        let (address, capacity) = pool.allocate(bytes)
        #expect(capacity >= bytes && Int(bitPattern: address) % 64 == 0)
        pool.recycle(address, capacity: capacity)
        return address
    }

    @Test("memory is used again by requests that are nearly as large")
    func again() {
        let pool = BufferPool()
        let first = use(100_000, of: pool)
        #expect(use(100_000, of: pool) == first && use(90_000, of: pool) == first)
        #expect(pool.idleBytes < 101_000)
        #expect(use(10_000, of: pool) != first, "a tenth would waste most of it")
    }

    @Test("sizes that are not asked for any more are given back, others stay")
    func sizes() {
        let pool = BufferPool()
        for number in 1...200 { _ = use(number * 100_000, of: pool) }
        let many = pool.idleBytes
        let often = use(64, of: pool)
        for _ in 0..<(2 * BufferPool.period) { #expect(use(64, of: pool) == often) }
        #expect(many > 20_000_000 && pool.idleBytes == 64)
    }

    @Test("memory in use at the end of a period is not given back")
    func inUse() {
        let pool = BufferPool()
        let (address, capacity) = pool.allocate(1000)
        for _ in 0..<(3 * BufferPool.period) { _ = use(64, of: pool) }
        address.storeBytes(of: 1, as: UInt8.self)
        pool.recycle(address, capacity: capacity)
        #expect(pool.idleBytes == capacity + 64)
    }
}
