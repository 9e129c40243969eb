// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// Command buffers that are used again when their submission is finished.
struct CommandBuffers: ~Copyable {
    private let device: OpenDevice
    private let pool: VkCommandPool
    /// Those of queued submissions, in order.
    private var queued: [(commands: OpaquePointer, value: UInt64)] = []

    /// Creates an empty list for the queues of a family.
    init(_ device: OpenDevice, family: UInt32) throws(VulkanError) {
        var info = VkCommandPoolCreateInfo()
        info.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO
        info.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT
        info.queueFamilyIndex = family
        var pool: VkCommandPool = 0
        try device.check(
            device.functions.vkCreateCommandPool(device.handle, &info, nil, &pool),
            "creating a command pool")
        self.device = device
        self.pool = pool
    }

    deinit { device.functions.vkDestroyCommandPool(device.handle, pool, nil) }

    /// Returns a command buffer that is ready for commands.
    mutating func begin(completed: UInt64) throws(VulkanError) -> OpaquePointer {
        let commands = if let commands = reused(completed) { commands } else { try allocate() }
        var info = VkCommandBufferBeginInfo()
        info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO
        info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT
        try device.check(device.functions.vkBeginCommandBuffer(commands, &info), "recording")
        return commands
    }

    /// Adds a command buffer whose submission is queued.
    mutating func recycle(_ commands: OpaquePointer, after value: UInt64) {
        queued.append((commands, value))
    }

    private mutating func reused(_ completed: UInt64) -> OpaquePointer? {
        guard let first = queued.first, first.value <= completed else { return nil }
        return queued.removeFirst().commands
    }

    private func allocate() throws(VulkanError) -> OpaquePointer {
        var info = VkCommandBufferAllocateInfo()
        info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO
        info.commandPool = pool
        info.commandBufferCount = 1
        var commands: OpaquePointer?
        try device.check(
            device.functions.vkAllocateCommandBuffers(device.handle, &info, &commands),
            "a command buffer")
        guard let commands else {
            throw VulkanError(VK_ERROR_UNKNOWN, "a command buffer", device: device.name)
        }
        return commands
    }
}
