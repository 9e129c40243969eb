// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// Writes commands to a command buffer.
struct CommandEncoder {
    let device: OpenDevice
    let layout: VkPipelineLayout

    /// All commands of the recorder execute in one of these stages.
    private static let stages =
        VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT
    private static let writes =
        VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT
    private static let reads = VK_ACCESS_2_SHADER_STORAGE_READ_BIT | VK_ACCESS_2_TRANSFER_READ_BIT

    /// Writes a command; `data` has the bytes that it refers to.
    func encode(
        _ command: RecordedCommand, to commands: OpaquePointer, data: UnsafeRawBufferPointer
    ) {
        let functions = device.functions
        switch command {
        case .dispatch(let pipeline, let push, let x, let y, let z):
            functions.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline)
            if !push.isEmpty {
                functions.vkCmdPushConstants(
                    commands, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, UInt32(push.count),
                    data.baseAddress.map { $0 + push.lowerBound })
            }
            functions.vkCmdDispatch(commands, x, y, z)
        case .copy(let source, let target, var region):
            functions.vkCmdCopyBuffer(commands, source, target, 1, &region)
        case .fill(let target, let offset, let bytes, let word):
            functions.vkCmdFillBuffer(commands, target, offset, bytes, word)
        case .update(let target, let offset, let range):
            functions.vkCmdUpdateBuffer(
                commands, target, offset, UInt64(range.count),
                data.baseAddress.map { $0 + range.lowerBound })
        }
    }

    /// Makes later commands wait for all earlier ones, and see what these wrote.
    func barrier(_ commands: OpaquePointer) {
        barrier(commands, to: Self.stages, Self.reads | Self.writes)
    }

    /// Makes what the commands wrote visible to the host, at the end of a submission.
    func hostBarrier(_ commands: OpaquePointer) {
        barrier(commands, to: VK_PIPELINE_STAGE_2_HOST_BIT, VK_ACCESS_2_HOST_READ_BIT)
    }

    private func barrier(_ commands: OpaquePointer, to stages: VkFlags64, _ access: VkFlags64) {
        var barrier = VkMemoryBarrier2()
        barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2
        barrier.srcStageMask = Self.stages
        barrier.srcAccessMask = Self.writes
        barrier.dstStageMask = stages
        barrier.dstAccessMask = access
        withUnsafePointer(to: barrier) { barrier in
            var info = VkDependencyInfo()
            info.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO
            info.memoryBarrierCount = 1
            info.pMemoryBarriers = barrier
            device.functions.vkCmdPipelineBarrier2(commands, &info)
        }
    }

    /// A value of a semaphore.
    struct Point {
        let semaphore: VkSemaphore
        let value: UInt64
    }

    /// Queues a command buffer, which begins when `earlier` is reached, and whose end sets `end`.
    static func submit(
        _ commands: OpaquePointer, to queue: OpaquePointer, of device: OpenDevice,
        after earlier: Point?, end: Point
    ) -> VkResult {
        withArguments { memory in
            func info(_ point: Point) -> UnsafeMutablePointer<VkSemaphoreSubmitInfo> {
                memory.make(VkSemaphoreSubmitInfo.self) {
                    $0.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO
                    $0.semaphore = point.semaphore
                    $0.value = point.value
                    $0.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT
                }
            }
            let buffer = memory.make(VkCommandBufferSubmitInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO
                $0.commandBuffer = commands
            }
            let wait = earlier.map(info)
            let signal = info(end)
            let submission = memory.make(VkSubmitInfo2.self) {
                $0.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2
                $0.commandBufferInfoCount = 1
                $0.pCommandBufferInfos = UnsafePointer(buffer)
                if let wait {
                    $0.waitSemaphoreInfoCount = 1
                    $0.pWaitSemaphoreInfos = UnsafePointer(wait)
                }
                $0.signalSemaphoreInfoCount = 1
                $0.pSignalSemaphoreInfos = UnsafePointer(signal)
            }
            return device.functions.vkQueueSubmit2(queue, 1, submission, 0)
        }
    }
}
