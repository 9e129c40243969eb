// Part of Inkstone. Licence: see LICENSE.

import CVulkan
import Synchronization

/// The numbers of a device's submissions, from 1; the device counts those that are finished.
final class Timeline: Sendable {
    let device: OpenDevice
    let semaphore: VkSemaphore
    private let next = Atomic<UInt64>(1)
    private let used = Atomic<UInt64>(0)

    /// Creates a timeline at 0.
    init(_ device: OpenDevice) throws(VulkanError) {
        self.device = device
        var semaphore: VkSemaphore = 0
        let result = withArguments { memory in
            let type = memory.make(VkSemaphoreTypeCreateInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO
                $0.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE
            }
            let info = memory.make(VkSemaphoreCreateInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO
                $0.pNext = UnsafeRawPointer(type)
            }
            return device.functions.vkCreateSemaphore(device.handle, info, nil, &semaphore)
        }
        try device.check(result, "creating a semaphore")
        self.semaphore = semaphore
    }

    deinit { device.functions.vkDestroySemaphore(device.handle, semaphore, nil) }

    /// Number of the submission that is being recorded.
    var recorded: UInt64 { next.load(ordering: .acquiring) }

    /// Number of the latest submission with a command, which may still be recorded.
    var latest: UInt64 { used.load(ordering: .acquiring) }

    /// States that the submission that is being recorded has a command, or has none any more.
    func setHasCommands(_ hasCommands: Bool) {
        used.store(hasCommands ? recorded : recorded - 1, ordering: .releasing)
    }

    /// Begins the next submission.
    func advance() { next.add(1, ordering: .acquiringAndReleasing) }

    /// Number of the last finished submission; 0 before the first and after the device was lost.
    var completed: UInt64 {
        var value: UInt64 = 0
        let result = device.functions.vkGetSemaphoreCounterValue(device.handle, semaphore, &value)
        return result == VK_SUCCESS ? value : 0
    }

    /// Waits until a submission is finished.
    func wait(for value: UInt64) throws(VulkanError) {
        let result = withArguments { memory in
            let semaphores = memory.store([semaphore])
            let values = memory.store([value])
            let info = memory.make(VkSemaphoreWaitInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO
                $0.semaphoreCount = 1
                $0.pSemaphores = UnsafePointer(semaphores)
                $0.pValues = UnsafePointer(values)
            }
            return device.functions.vkWaitSemaphores(device.handle, info, .max)
        }
        try device.check(result, "waiting for a submission")
    }
}
