// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// An opened device with its functions, closed with the last reference.
final class OpenDevice: @unchecked Sendable {
    // Unchecked: constant pointers. Vulkan wants calls on a queue to come one at a time; only the
    // recorder makes them.
    let physical: PhysicalDevice
    let handle: OpaquePointer
    let functions: ink_vk_device_functions
    let queue: OpaquePointer
    /// The queue for copies of weights: that of the kernels if the device has no other.
    let transferQueue: OpaquePointer
    /// Whether pipelines report registers and spills.
    let capturesStatistics: Bool

    var name: String { physical.facts.name }
    var facts: DeviceFacts { physical.facts }

    /// Opens a device, which lacks nothing.
    init(_ physical: PhysicalDevice, capturesStatistics: Bool) throws(VulkanError) {
        self.physical = physical
        let instance = physical.instance
        let features = DeviceFeatures(
            physical.handle, instance, extensions: physical.extensions)
        self.capturesStatistics = capturesStatistics && features.hasPipelineStatistics
        let handle = try Self.open(
            physical, features: features, capturesStatistics: self.capturesStatistics)
        self.handle = handle
        var table: ink_vk_device_functions?
        let missing = withUnsafeTemporaryAllocation(of: ink_vk_device_functions.self, capacity: 1) {
            memory -> String? in
            guard let functions = memory.baseAddress else { return "memory" }
            if let missing = ink_vk_load_device(
                instance.library, instance.handle, handle, functions)
            {
                return String(cString: missing)
            }
            table = functions.pointee
            return nil
        }
        guard let table else {
            throw VulkanError(
                .driver,
                "the driver of the Vulkan device '\(physical.facts.name)' has no function"
                    + " \(missing ?? "table"). Update it, or choose another device.")
        }
        functions = table
        var queue: OpaquePointer?
        table.vkGetDeviceQueue(handle, physical.queueFamily, 0, &queue)
        var transferQueue = queue
        if let family = physical.transferFamily {
            table.vkGetDeviceQueue(handle, family, 0, &transferQueue)
        }
        guard let queue, let transferQueue else {
            table.vkDestroyDevice(handle, nil)
            throw VulkanError(
                .driver, "the Vulkan device '\(physical.facts.name)' has no queue for kernels.")
        }
        self.queue = queue
        self.transferQueue = transferQueue
    }

    deinit { functions.vkDestroyDevice(handle, nil) }

    private static func open(
        _ physical: PhysicalDevice, features: DeviceFeatures, capturesStatistics: Bool
    ) throws(VulkanError) -> OpaquePointer {
        var wanted = ["VK_EXT_memory_budget", "VK_KHR_portability_subset"]
        if features.hasMatrices { wanted.append("VK_KHR_cooperative_matrix") }
        if features.hasFlexibleMatrices { wanted.append("VK_NV_cooperative_matrix2") }
        if capturesStatistics { wanted.append("VK_KHR_pipeline_executable_properties") }
        let names = wanted.filter(physical.extensions.contains)
        var handle: OpaquePointer?
        let result = withArguments { memory in
            let priorities = memory.store([Float(1)])
            let families = physical.queueFamilies
            let queues = memory.make(VkDeviceQueueCreateInfo.self, count: families.count) {
                $0.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO
                $0.queueCount = 1
                $0.pQueuePriorities = UnsafePointer(priorities)
            }
            for (index, family) in families.enumerated() {
                queues[index].queueFamilyIndex = family
            }
            let enabled = features.enabledChain(&memory, statistics: capturesStatistics)
            let extensions = memory.store(names)
            let info = memory.make(VkDeviceCreateInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO
                $0.pNext = UnsafeRawPointer(enabled)
                $0.queueCreateInfoCount = UInt32(families.count)
                $0.pQueueCreateInfos = UnsafePointer(queues)
                $0.enabledExtensionCount = UInt32(names.count)
                $0.ppEnabledExtensionNames = extensions
            }
            return physical.instance.functions.vkCreateDevice(physical.handle, info, nil, &handle)
        }
        guard result == VK_SUCCESS, let handle else {
            throw VulkanError(result, "opening it", device: physical.facts.name)
        }
        return handle
    }

    /// Throws the error of a function that failed.
    func check(_ result: VkResult, _ action: @autoclosure () -> String) throws(VulkanError) {
        if result != VK_SUCCESS { throw VulkanError(result, action(), device: name) }
    }
}
