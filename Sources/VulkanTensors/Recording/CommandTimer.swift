// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// Writes timestamps between the commands of a recorder, and reads them when their submissions are finished.
///
/// A timestamp is written when all commands before it have ended, and no command waits for one. Of commands that
/// overlap, each has the time by which it ends later than those before it, so that the sum is the time of the device.
final class CommandTimer {
    private struct Kind: Hashable {
        let kernel: Kernel?
        let numbers: KernelWork.Numbers?
    }

    /// The timestamps of a submission: one at its beginning and one behind each command.
    private struct Batch {
        var pools: [VkQueryPool] = []
        var count = 0
        /// Entry and operations of each command.
        var commands: [(entry: Int, operations: Int)] = []
        /// Number of its submission.
        var value: UInt64 = 0
    }

    /// Timestamps of a pool.
    private static let capacity = 256

    private let device: OpenDevice
    private var profile = KernelProfile()
    private var known: [Kind: Int] = [:]
    private var allPools: [VkQueryPool] = []
    private var freePools: [VkQueryPool] = []
    private var current: Batch?
    private var queued: [Batch] = []
    /// The end of the last submission that was read.
    private var lastTick: UInt64?
    /// Why timestamps are missing.
    private var failure: VulkanError?

    init(_ device: OpenDevice) { self.device = device }

    deinit {
        for pool in allPools { device.functions.vkDestroyQueryPool(device.handle, pool, nil) }
    }

    // MARK: Commands

    /// Returns the number of a kind of commands, for ``end(_:operations:in:)``.
    func entry(of kernel: Kernel?, _ numbers: KernelWork.Numbers?) -> Int {
        let kind = Kind(kernel: kernel, numbers: numbers)
        if let entry = known[kind] { return entry }
        known[kind] = profile.entries.count
        profile.entries.append(KernelProfile.Entry(kernel: kernel, numbers: numbers))
        return profile.entries.count - 1
    }

    /// Begins a submission, before its first command.
    func begin(in commands: OpaquePointer) {
        current = Batch()
        writeTimestamp(in: commands)
    }

    /// Ends a command that was written to the command buffer.
    func end(_ entry: Int, operations: Int, in commands: OpaquePointer) {
        current?.commands.append((entry, operations))
        writeTimestamp(in: commands)
    }

    /// States that the submission was queued with a number.
    func queue(as value: UInt64) {
        guard var batch = current else { return }
        current = nil
        batch.value = value
        queued.append(batch)
    }

    /// Forgets the commands of a submission that is not queued.
    func drop() {
        freePools += current?.pools ?? []
        current = nil
    }

    private func writeTimestamp(in commands: OpaquePointer) {
        guard failure == nil, var batch = current else { return }
        if batch.count == batch.pools.count * Self.capacity {
            do throws(VulkanError) {
                let pool = if let pool = freePools.popLast() { pool } else { try makePool() }
                device.functions.vkCmdResetQueryPool(commands, pool, 0, UInt32(Self.capacity))
                batch.pools.append(pool)
            } catch {
                failure = error
                return
            }
        }
        device.functions.vkCmdWriteTimestamp2(
            commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
            batch.pools[batch.count / Self.capacity], UInt32(batch.count % Self.capacity))
        batch.count += 1
        current = batch
    }

    private func makePool() throws(VulkanError) -> VkQueryPool {
        var info = VkQueryPoolCreateInfo()
        info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO
        info.queryType = VK_QUERY_TYPE_TIMESTAMP
        info.queryCount = UInt32(Self.capacity)
        var pool: VkQueryPool = 0
        try device.check(
            device.functions.vkCreateQueryPool(device.handle, &info, nil, &pool),
            "creating a pool of timestamps")
        allPools.append(pool)
        return pool
    }

    // MARK: Results

    /// Reads the timestamps of finished submissions.
    func collect(completed: UInt64) {
        while let batch = queued.first, batch.value <= completed {
            queued.removeFirst()
            if failure == nil { read(batch) }
            freePools += batch.pools
        }
    }

    /// The profile of all submissions that were collected.
    ///
    /// - Throws: The failure of a query.
    func result() throws(VulkanError) -> KernelProfile {
        if let failure { throw failure }
        return profile
    }

    private func read(_ batch: Batch) {
        var ticks: [UInt64] = []
        for pool in batch.pools {
            var values = [UInt64](
                repeating: 0, count: min(Self.capacity, batch.count - ticks.count))
            let count = values.count
            let result = values.withUnsafeMutableBytes {
                device.functions.vkGetQueryPoolResults(
                    device.handle, pool, 0, UInt32(count), $0.count, $0.baseAddress, 8,
                    VK_QUERY_RESULT_64_BIT)
            }
            guard result == VK_SUCCESS else {
                failure = VulkanError(result, "reading timestamps", device: device.name)
                return
            }
            ticks += values
        }
        guard let first = ticks.first, ticks.count == batch.commands.count + 1 else { return }
        if let lastTick { profile.idleSeconds += seconds(from: lastTick, to: first) }
        for (index, command) in batch.commands.enumerated() {
            profile.entries[command.entry].calls += 1
            profile.entries[command.entry].operations += command.operations
            profile.entries[command.entry].seconds += seconds(
                from: ticks[index], to: ticks[index + 1])
        }
        profile.submissions += 1
        lastTick = ticks.last
    }

    private func seconds(from start: UInt64, to end: UInt64) -> Double {
        let bits = device.physical.timestampBits
        let mask = bits >= 64 ? UInt64.max : (1 << UInt64(bits)) - 1
        return Double((end &- start) & mask) * device.physical.timestampPeriod * 1e-9
    }
}
