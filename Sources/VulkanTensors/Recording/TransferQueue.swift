// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// Copies weights from the machine's memory while kernels run, on a queue for transfers if the device has one.
///
/// The copies since a submission of kernels are one submission here. It waits for earlier kernels that use the
/// memory, and the kernels that are submitted next wait for it.
final class TransferQueue {
    private let device: OpenDevice
    /// Numbers of the submissions of copies.
    private let timeline: Timeline
    private var buffers: CommandBuffers
    private var current: OpaquePointer?
    /// The submission of kernels that the copies wait for.
    private var earlier: UInt64 = 0

    init(_ device: OpenDevice) throws(VulkanError) {
        self.device = device
        timeline = try Timeline(device)
        buffers = try CommandBuffers(
            device, family: device.physical.transferFamily ?? device.physical.queueFamily)
    }

    /// Whether there are copies that are not submitted.
    var hasCommands: Bool { current != nil }

    /// Appends a copy of a whole buffer, which begins when a submission of kernels has ended.
    ///
    /// The copies of a submission must not overlap.
    func copy(
        _ source: DeviceBuffer, to target: DeviceBuffer, after submission: UInt64
    ) throws(VulkanError) {
        precondition(
            source.bytes == target.bytes, "copy of \(source.bytes) to \(target.bytes) bytes")
        let commands =
            if let current { current } else { try buffers.begin(completed: timeline.completed) }
        current = commands
        earlier = max(earlier, submission)
        var region = VkBufferCopy(
            srcOffset: UInt64(source.offset), dstOffset: UInt64(target.offset),
            size: UInt64(source.bytes))
        device.functions.vkCmdCopyBuffer(
            commands, source.memory.buffer, target.memory.buffer, 1, &region)
    }

    /// Queues the copies; returns the point that their end sets.
    ///
    /// `kernels` counts the submissions of kernels that are finished.
    func submit(after kernels: VkSemaphore) -> (VkResult, CommandEncoder.Point?) {
        guard let commands = current else { return (VK_SUCCESS, nil) }
        let end = CommandEncoder.Point(semaphore: timeline.semaphore, value: timeline.recorded)
        var result = device.functions.vkEndCommandBuffer(commands)
        if result == VK_SUCCESS {
            result = CommandEncoder.submit(
                commands, to: device.transferQueue, of: device,
                after: earlier > 0 ? .init(semaphore: kernels, value: earlier) : nil, end: end)
        }
        current = nil
        earlier = 0
        guard result == VK_SUCCESS else { return (result, nil) }
        buffers.recycle(commands, after: end.value)
        timeline.advance()
        return (result, end)
    }

    /// Drops the copies that are not submitted.
    func drop() {
        guard let commands = current else { return }
        _ = device.functions.vkEndCommandBuffer(commands)
        buffers.recycle(commands, after: 0)
        current = nil
        earlier = 0
    }
}
