// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// Parts of large blocks of memory, since drivers limit the number of allocations and take long for each.
///
/// A request of more than a block gets one for itself, which later serves requests that are nearly as
/// large.
final class MemoryPool: Sendable {
    private struct Block {
        let memory: DeviceMemory
        var free: FreeRanges
        /// Whether it was made for one large request.
        let isDedicated: Bool
        /// Number of the last submission that may use it.
        var lastUse: UInt64 = 0
    }

    private struct State {
        var blocks: [Block] = []
        var usedBytes = 0
        var allocatedBytes: Int { blocks.reduce(0) { $0 + $1.memory.bytes } }
    }

    private let device: OpenDevice
    private let timeline: Timeline
    private let use: MemoryUse
    private let blockBytes: Int
    /// Most bytes of all blocks.
    private let limit: Int?
    private let state = Mutex(State())

    /// Alignment of buffers.
    static let alignment = 256
    /// Most unused memory that is retained when new memory is allocated.
    private static let idleLimit = 1 << 30

    /// Creates a pool without memory.
    init(
        _ device: OpenDevice, _ timeline: Timeline, use: MemoryUse, blockBytes: Int,
        limit: Int? = nil
    ) {
        self.device = device
        self.timeline = timeline
        self.use = use
        self.blockBytes = blockBytes
        self.limit = limit
    }

    /// Bytes of all blocks, and those of them that buffers use.
    var bytes: (allocated: Int, used: Int) {
        state.withLock { ($0.allocatedBytes, $0.usedBytes) }
    }

    /// Returns a buffer with unspecified content.
    ///
    /// - Throws: `VulkanError` with the code `outOfMemory` if there is no memory for a new block.
    func allocate(_ bytes: Int) throws(VulkanError) -> DeviceBuffer {
        let size = max(1, (bytes + Self.alignment - 1) / Self.alignment) * Self.alignment
        let part = try state.withLock { state throws(VulkanError) in
            let part =
                if let part = take(size, from: &state) { part } else {
                    try grow(by: size, &state)
                }
            state.usedBytes += part.range.count
            return part
        }
        return DeviceBuffer(
            part.memory, offset: part.range.lowerBound, capacity: part.range.count, bytes: bytes,
            pool: self)
    }

    /// Takes the best part of the blocks.
    private func take(
        _ size: Int, from state: inout State
    ) -> (memory: DeviceMemory, range: Range<Int>)? {
        var best: (block: Int, range: Range<Int>)?
        for (index, block) in state.blocks.enumerated() {
            guard block.isDedicated == (size > blockBytes), let range = block.free.bestFit(size),
                range.count < best?.range.count ?? .max,
                // A dedicated block serves one request, of which at most a fifth of it is unused.
                !block.isDedicated || range.count <= size + size / 4
            else { continue }
            best = (index, range)
            if range.count == size { break }
        }
        guard let best else { return nil }
        let taken = size > blockBytes ? best.range.count : size
        let start = state.blocks[best.block].free.take(taken, of: best.range)
        return (state.blocks[best.block].memory, start..<(start + taken))
    }

    /// Allocates a block and takes its beginning.
    private func grow(
        by size: Int, _ state: inout State
    ) throws(VulkanError) -> (memory: DeviceMemory, range: Range<Int>) {
        let isDedicated = size > blockBytes
        let capacity = max(size, blockBytes)
        if state.allocatedBytes - state.usedBytes + capacity > Self.idleLimit { trim(&state) }
        if let limit, state.allocatedBytes + capacity > limit {
            throw VulkanError(.outOfMemory, "the limit of \(limit) bytes is reached.")
        }
        guard capacity <= device.facts.largestBuffer else {
            throw VulkanError(
                .outOfMemory,
                "\(capacity) bytes are more than a buffer of the Vulkan device '\(device.name)' can have"
                    + " (\(device.facts.largestBuffer)).")
        }
        let memory = try DeviceMemory(device, bytes: capacity, use: use)
        var block = Block(
            memory: memory, free: FreeRanges(capacity: capacity), isDedicated: isDedicated)
        let start = block.free.take(size, of: 0..<capacity)
        state.blocks.append(block)
        return (memory, start..<(start + size))
    }

    /// Adds a part that no buffer uses any more; recorded and queued commands may.
    func recycle(_ range: Range<Int>, of memory: DeviceMemory) {
        let value = timeline.latest
        state.withLock { state in
            guard let index = state.blocks.firstIndex(where: { $0.memory === memory }) else {
                return
            }
            state.blocks[index].free.insert(range)
            state.blocks[index].lastUse = max(value, state.blocks[index].lastUse)
            state.usedBytes -= range.count
        }
    }

    /// Frees the blocks that nothing uses: no buffer, and no submission that is not finished.
    func trim() { state.withLock { trim(&$0) } }

    private func trim(_ state: inout State) {
        // The latest submission decreases when its commands are dropped after a failure.
        let (completed, latest) = (timeline.completed, timeline.latest)
        state.blocks.removeAll { $0.free.isWhole && min($0.lastUse, latest) <= completed }
    }
}
