// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// Records commands, orders those that depend on each other, and submits them without waiting.
///
/// One caller at a time. A failure is remembered and thrown by ``download(_:at:bytes:)``; commands after
/// it are dropped, so that a caller need not look for errors after each of them.
package final class Recorder: @unchecked Sendable {
    // Unchecked: callers use it one at a time (stated above).

    /// Counts since the creation of the recorder.
    package internal(set) var statistics = RecorderStatistics()
    /// The first failure since the last ``takeFailure()``, or the loss of the device.
    package private(set) var failure: VulkanError?

    let device: OpenDevice
    let timeline: Timeline
    let staging: Staging
    private let pipelines: PipelineCache
    private let encoder: CommandEncoder
    private let order: RecordingOrder
    private var buffers: CommandBuffers
    private let transfers: TransferQueue
    /// The command buffer of the submission that is being recorded.
    private var current: OpaquePointer?
    /// Commands since the last barrier that are not in a command buffer yet.
    private var interval: [(command: RecordedCommand, entry: Int, operations: Int)] = []
    /// Push constants and small uploads of these.
    private var data: [UInt8] = []
    private var hazards = Hazards()
    /// Measures the commands, while a profile is taken.
    private var timer: CommandTimer?

    init(
        _ device: OpenDevice, _ timeline: Timeline, pipelines: PipelineCache, staging: Staging,
        order: RecordingOrder
    ) throws(VulkanError) {
        buffers = try CommandBuffers(device, family: device.physical.queueFamily)
        transfers = try TransferQueue(device)
        self.device = device
        self.timeline = timeline
        self.pipelines = pipelines
        self.staging = staging
        self.order = order
        encoder = CommandEncoder(device: device, layout: pipelines.layout)
    }

    deinit { _ = device.functions.vkDeviceWaitIdle(device.handle) }

    // MARK: Commands

    /// Appends a dispatch of a kernel that may read `reads` and write `writes`, and nothing else.
    ///
    /// Nothing happens if the number of workgroups is 0. `work` is only used for profiles.
    package func dispatch(
        _ kernel: Kernel, push: PushBytes, groups: (x: Int, y: Int, z: Int), reads: [DeviceRange],
        writes: [DeviceRange], work: KernelWork? = nil
    ) {
        guard failure == nil, groups.x * groups.y * groups.z > 0 else { return }
        let most = device.facts.dispatchGroups
        guard groups.x <= most[0], groups.y <= most[1], groups.z <= most[2] else {
            fail(
                VulkanError(
                    .feature,
                    "the shader '\(kernel.shader)' needs \(groups.x)x\(groups.y)x\(groups.z) workgroups,"
                        + " and the Vulkan device '\(device.name)' can start"
                        + " \(most.map(String.init).joined(separator: "x"))."))
            return
        }
        do throws(VulkanError) {
            let pipeline = try pipelines.pipeline(for: kernel)
            guard begin(reads: reads, writes: writes) else { return }
            interval.append(
                (
                    .dispatch(
                        pipeline, push: store(push.bytes), x: UInt32(groups.x),
                        y: UInt32(groups.y), z: UInt32(groups.z)),
                    timer?.entry(of: kernel, work?.numbers) ?? 0, work?.operations ?? 0
                ))
            statistics.dispatches += 1
        } catch { fail(error) }
    }

    /// Appends a dispatch of a kernel that reads and writes whole buffers.
    package func dispatch(
        _ kernel: Kernel, push: PushBytes, groups: (x: Int, y: Int, z: Int), reads: [DeviceBuffer],
        writes: [DeviceBuffer]
    ) {
        dispatch(
            kernel, push: push, groups: groups, reads: reads.map(\.range),
            writes: writes.map(\.range))
    }

    /// Copies bytes; a buffer's bytes must not be copied onto overlapping ones.
    package func copy(
        _ source: DeviceBuffer, at offset: Int = 0, to target: DeviceBuffer,
        at targetOffset: Int = 0, bytes: Int
    ) {
        let read = source.range(at: offset, bytes: bytes)
        let write = target.range(at: targetOffset, bytes: bytes)
        precondition(
            read.address + UInt64(bytes) <= write.address
                || write.address + UInt64(bytes) <= read.address, "copy: overlapping ranges")
        copy(
            source, at: offset, to: target, at: targetOffset, bytes: bytes, reads: [read],
            writes: [write])
    }

    /// Copies bytes, of which only `reads` and `writes` can be part of other commands.
    func copy(
        _ source: DeviceBuffer, at offset: Int, to target: DeviceBuffer, at targetOffset: Int,
        bytes: Int, reads: [DeviceRange], writes: [DeviceRange]
    ) {
        guard failure == nil, bytes > 0, begin(reads: reads, writes: writes) else { return }
        transfer(
            .copy(
                from: source.memory.buffer, to: target.memory.buffer,
                VkBufferCopy(
                    srcOffset: UInt64(source.offset + offset),
                    dstOffset: UInt64(target.offset + targetOffset), size: UInt64(bytes))))
    }

    /// Sets all bytes of a buffer to those of a word.
    package func fill(_ target: DeviceBuffer, word: UInt32) {
        guard failure == nil, target.bytes > 0, begin(reads: [], writes: [target.range])
        else { return }
        // The buffer's own memory is a multiple of 256 bytes.
        transfer(
            .fill(
                target.memory.buffer, offset: UInt64(target.offset),
                bytes: UInt64((target.bytes + 3) / 4 * 4), word: word))
    }

    /// Appends a small upload that the command buffer contains; offset and size are multiples of 4.
    func update(_ target: DeviceBuffer, at offset: Int, _ bytes: UnsafeRawBufferPointer) {
        let write = target.range(at: offset, bytes: bytes.count)
        guard failure == nil, begin(reads: [], writes: [write]) else { return }
        transfer(
            .update(
                target.memory.buffer, offset: UInt64(target.offset + offset), data: store(bytes)))
    }

    /// Copies bytes on the queue for transfers, after submission `earlier` and before the one that is being
    /// recorded, whose commands may read them.
    func stream(
        _ source: DeviceBuffer, to target: DeviceBuffer, after earlier: UInt64
    ) {
        guard failure == nil, source.bytes > 0 else { return }
        do throws(VulkanError) {
            // A submission whose commands were dropped after a failure has not been queued.
            try transfers.copy(source, to: target, after: min(earlier, recorded - 1))
            timeline.setHasCommands(true)
            statistics.streamedCopies += 1
            statistics.streamedBytes += source.bytes
        } catch { fail(error) }
    }

    private func transfer(_ command: RecordedCommand) {
        interval.append((command, timer?.entry(of: nil, nil) ?? 0, 0))
        statistics.transfers += 1
    }

    private func store(_ bytes: some Collection<UInt8>) -> Range<Int> {
        let start = data.count
        data.append(contentsOf: bytes)
        return start..<data.count
    }

    // MARK: Intervals

    /// Prepares for a command: if it depends on one since the last barrier, a barrier comes first.
    ///
    /// Returns false after a failure.
    private func begin(reads: [DeviceRange], writes: [DeviceRange]) -> Bool {
        if hazards.conflicts(reads: reads, writes: writes) {
            encodeInterval()
            guard let commands = commandBuffer() else { return false }
            encoder.barrier(commands)
            statistics.barriers += 1
            hazards.removeAll()
        }
        hazards.insert(reads: reads, writes: writes)
        timeline.setHasCommands(true)
        return true
    }

    /// Writes the commands of the interval to the command buffer.
    ///
    /// The interval goes on: what they read and write matters until the next barrier, also in later
    /// submissions.
    private func encodeInterval() {
        guard !interval.isEmpty, let commands = commandBuffer() else { return }
        data.withUnsafeBytes { data in
            switch order {
            case .asRecorded:
                for command in interval { encode(command, to: commands, data) }
            case .reversed:
                for command in interval.reversed() { encode(command, to: commands, data) }
            }
        }
        interval.removeAll(keepingCapacity: true)
        data.removeAll(keepingCapacity: true)
    }

    private func encode(
        _ item: (command: RecordedCommand, entry: Int, operations: Int),
        to commands: OpaquePointer, _ data: UnsafeRawBufferPointer
    ) {
        encoder.encode(item.command, to: commands, data: data)
        timer?.end(item.entry, operations: item.operations, in: commands)
    }

    private func commandBuffer() -> OpaquePointer? {
        if let current { return current }
        guard failure == nil else { return nil }
        do throws(VulkanError) {
            let commands = try buffers.begin(completed: timeline.completed)
            current = commands
            timer?.begin(in: commands)
        } catch { fail(error) }
        return current
    }

    // MARK: Submissions

    /// Number of the last finished submission; submissions are counted from 1.
    package var completed: UInt64 { timeline.completed }
    /// Number of the submission that is being recorded.
    package var recorded: UInt64 { timeline.recorded }
    /// Number of the submission that has, or will have, the last command; 0 before the first command.
    package var latest: UInt64 { timeline.latest }

    /// Ends and queues what is recorded, if anything, without waiting.
    package func submit() {
        encodeInterval()
        // Places of copies are used again after the submission that waits for them.
        if transfers.hasCommands { _ = commandBuffer() }
        guard failure == nil, let commands = current else { return }
        encoder.hostBarrier(commands)
        let value = timeline.recorded
        var copied: CommandEncoder.Point?
        var result = device.functions.vkEndCommandBuffer(commands)
        if result == VK_SUCCESS, transfers.hasCommands {
            (result, copied) = transfers.submit(after: timeline.semaphore)
            statistics.streamSubmissions += 1
        }
        if result == VK_SUCCESS {
            result = CommandEncoder.submit(
                commands, to: device.queue, of: device, after: copied,
                end: .init(semaphore: timeline.semaphore, value: value))
        }
        current = nil
        guard result == VK_SUCCESS else {
            fail(VulkanError(result, "a submission", device: device.name))
            return
        }
        buffers.recycle(commands, after: value)
        timer?.queue(as: value)
        timeline.advance()
        statistics.submissions += 1
        timer?.collect(completed: timeline.completed)
    }

    /// Waits until at most `queued` submissions are not finished.
    package func throttle(_ queued: Int = 2) {
        let submitted = timeline.recorded - 1
        guard submitted > UInt64(queued) else { return }
        wait(for: submitted - UInt64(queued))
    }

    /// Waits until a submission that was queued is finished.
    package func wait(for value: UInt64) {
        precondition(value < timeline.recorded, "submission \(value) is not queued")
        guard failure?.code != .deviceLost else { return }
        do throws(VulkanError) { try timeline.wait(for: value) } catch { fail(error) }
    }

    // MARK: Profiles

    /// Begins to measure the commands that follow, on a device with timestamps.
    package func beginProfile() {
        submit()
        throttle(0)
        timer = CommandTimer(device)
    }

    /// Waits for the commands since ``beginProfile()``, and returns how long they took.
    ///
    /// - Throws: The failure of the recorder or of a query.
    package func endProfile() throws(VulkanError) -> KernelProfile {
        submit()
        throttle(0)
        defer { timer = nil }
        if let failure { throw failure }
        timer?.collect(completed: timeline.completed)
        return try timer?.result() ?? KernelProfile()
    }

    // MARK: Failures

    /// Remembers a failure, and drops what is recorded and not queued.
    package func fail(_ error: VulkanError) {
        if failure == nil || error.code == .deviceLost { failure = error }
        interval.removeAll()
        data.removeAll()
        // Its commands may depend on dropped ones.
        if let commands = current {
            _ = device.functions.vkEndCommandBuffer(commands)
            buffers.recycle(commands, after: 0)
            current = nil
        }
        transfers.drop()
        timer?.drop()
        timeline.setHasCommands(false)
    }

    /// Returns the failure, and accepts commands again unless the device was lost.
    package func takeFailure() -> VulkanError? {
        defer { if failure?.code != .deviceLost { failure = nil } }
        return failure
    }
}
