// Part of Inkstone. Licence: see LICENSE.

import Testing
import VulkanTensors

/// Free parts of a block.
@Suite("Free ranges of a block of memory")
struct FreeRangesTests {
    @Test("neighbours are joined, in whatever order they are freed")
    func coalescing() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 1, 3], [1, 3, 0, 2], [2, 0, 3, 1]] {
            var free = FreeRanges(capacity: 1000)
            for part in 0..<4 { #expect(free.take(250, of: (250 * part)..<1000) == 250 * part) }
            #expect(free.ranges.isEmpty && free.bestFit(1) == nil)
            for part in order { free.insert((250 * part)..<(250 * part + 250)) }
            #expect(free.isWhole)
        }
    }

    @Test("a request takes the smallest part that is large enough")
    func bestFit() {
        var free = FreeRanges(capacity: 1000)
        _ = free.take(1000, of: 0..<1000)
        for range in [0..<300, 400..<500, 600..<720, 900..<1000] { free.insert(range) }
        #expect(free.bestFit(50) == 400..<500, "the first among equals")
        #expect(free.bestFit(101) == 600..<720)
        #expect(free.bestFit(301) == nil)
        #expect(free.take(101, of: 600..<720) == 600)
        #expect(free.ranges == [0..<300, 400..<500, 701..<720, 900..<1000])
        #expect(!free.isWhole)
    }
}

/// Memory of a device.
@Suite("Device memory", .needsVulkan)
struct MemoryTests {
    private static let mebibyte = 1 << 20

    @Test("buffers share a block, and what they free becomes one part again")
    func coalescing() throws {
        let device = try TestDevice.open()
        let block = VulkanDevice.blockBytes
        for _ in 0..<3 {
            var buffers = try (1...100).map { try device.makeBuffer(bytes: 5000 * $0) }
            #expect(Set(buffers.map(\.address)).count == 100)
            #expect(device.memoryBytes.allocated == block)
            while let index = buffers.indices.randomElement() { buffers.remove(at: index) }
            #expect(device.memoryBytes.used == 0)
            let whole = try device.makeBuffer(bytes: block)
            #expect(device.memoryBytes == (block, block))
            #expect(whole.bytes == block)
        }
    }

    @Test("a buffer larger than a block has its own, which fits only nearly as large ones")
    func dedicated() throws {
        let device = try TestDevice.open()
        let bytes = VulkanDevice.blockBytes + 1000 * 1000
        var buffer: DeviceBuffer? = try device.makeBuffer(bytes: bytes)
        let address = buffer?.address
        #expect(device.memoryBytes.allocated == (bytes + 255) / 256 * 256)
        buffer = nil
        buffer = try device.makeBuffer(bytes: VulkanDevice.blockBytes + 1)
        #expect(buffer?.address == address)
        buffer = nil
        let small = try device.makeBuffer(bytes: 1000)
        #expect(small.address != address, "small buffers do not divide it")
        buffer = try device.makeBuffer(bytes: 2 * bytes)
        #expect(buffer?.address != address)
    }

    @Test("blocks are freed when the submissions that use them are finished")
    func trim() throws {
        let device = try TestDevice.open()
        var buffer: DeviceBuffer? = try device.makeBuffer(bytes: 1000)
        if let buffer { device.recorder.fill(buffer, word: 1) }
        device.trim()
        #expect(device.memoryBytes.allocated == VulkanDevice.blockBytes, "in use")
        buffer = nil
        device.trim()
        #expect(device.memoryBytes.allocated == VulkanDevice.blockBytes, "recorded")
        device.recorder.submit()
        device.recorder.throttle(0)
        device.trim()
        #expect(device.memoryBytes == (0, 0))
    }

    @Test("without memory, unused blocks are freed first, and then a sentence says what is missing")
    func outOfMemory() throws {
        let device = try TestDevice.open(memoryLimit: 150 * Self.mebibyte)
        var buffer: DeviceBuffer? = try device.makeBuffer(bytes: 100 * Self.mebibyte)
        if let buffer { device.recorder.fill(buffer, word: 1) }
        let error = #expect(throws: VulkanError.self) {
            try device.makeBuffer(bytes: 80 * Self.mebibyte)
        }
        #expect(error?.code == .outOfMemory)
        #expect(
            error?.description.contains(
                "is insufficient: 80 MiB more were requested, 100 MiB are in use") == true)
        #expect(device.recorder.failure == nil)
        // The fill that uses it is queued and finished before the block is freed.
        buffer = nil
        buffer = try device.makeBuffer(bytes: 140 * Self.mebibyte)
        #expect(device.memoryBytes.allocated == 140 * Self.mebibyte)
    }

    @Test("a request that cannot be served is a failure of the recorder, not a trap")
    func failingRequest() throws {
        let device = try TestDevice.open(memoryLimit: 70 * Self.mebibyte)
        let small = try device.makeBuffer(bytes: 4096)
        device.recorder.fill(small, word: 1)
        let missing = device.makeBufferOrFail(bytes: 100 * Self.mebibyte)
        #expect(missing.bytes == 100 * Self.mebibyte)
        device.recorder.affine(small, to: missing, count: 1024)
        device.recorder.fill(missing, word: 2)
        device.recorder.copy(missing, at: 50 * Self.mebibyte, to: small, bytes: 4096)
        #expect(throws: VulkanError.self) { try device.recorder.download(missing, bytes: 4096) }
        #expect(device.recorder.takeFailure()?.code == .outOfMemory)
        let word = try device.recorder.download(small, count: 1, as: UInt32.self)
        #expect(word == [1], "what was recorded before is done")
    }

    @Test("more than the largest buffer of the device is out of memory")
    func tooLarge() throws {
        let device = try TestDevice.open()
        let error = #expect(throws: VulkanError.self) { try device.makeBuffer(bytes: 1 << 60) }
        #expect(error?.code == .outOfMemory)
    }

    @Test("the budget of the driver is positive, and its use is that of all programs")
    func budget() throws {
        let device = try TestDevice.open()
        let budget = device.memoryBudget
        #expect(budget.total > 0 && budget.total <= 2 * device.facts.memoryBytes)
        // A software device shares its memory with the machine, so that it can shrink meanwhile.
        #expect(budget.used >= 0)
    }

    @Test("buffers may outlive their device")
    func lifetime() throws {
        var device: VulkanDevice? = try TestDevice.open()
        var buffer = try device?.makeBuffer(bytes: 100)
        if let buffer { device?.recorder.fill(buffer, word: 1) }
        device?.recorder.submit()
        device = nil
        #expect(buffer?.bytes == 100)
        buffer = nil
    }
}
