// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// One allocation of the driver with the buffer that covers it, freed with the last reference.
final class DeviceMemory: @unchecked Sendable {
    // Unchecked: constants; who uses which part is decided by the pool.
    let device: OpenDevice
    let bytes: Int
    let buffer: VkBuffer
    /// Address in shaders.
    let address: UInt64
    /// Address on the host, if the host can address it.
    let hostAddress: UnsafeMutableRawPointer?
    private let memory: VkDeviceMemory

    /// Allocates memory; `bytes` is a multiple of 256.
    init(_ device: OpenDevice, bytes: Int, use: MemoryUse) throws(VulkanError) {
        self.device = device
        self.bytes = bytes
        let buffer = try Self.makeBuffer(device, bytes)
        do throws(VulkanError) {
            memory = try Self.allocate(device, for: buffer, use)
        } catch {
            device.functions.vkDestroyBuffer(device.handle, buffer, nil)
            throw error
        }
        self.buffer = buffer
        var result = device.functions.vkBindBufferMemory(device.handle, buffer, memory, 0)
        var mapped: UnsafeMutableRawPointer?
        if result == VK_SUCCESS, use.isHostVisible {
            result = device.functions.vkMapMemory(device.handle, memory, 0, .max, 0, &mapped)
        }
        hostAddress = mapped
        var info = VkBufferDeviceAddressInfo()
        info.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO
        info.buffer = buffer
        address =
            result == VK_SUCCESS
            ? device.functions.vkGetBufferDeviceAddress(device.handle, &info) : 0
        // From here on, `deinit` frees what was allocated.
        try device.check(result, "\(bytes) bytes of memory")
    }

    deinit {
        device.functions.vkDestroyBuffer(device.handle, buffer, nil)
        device.functions.vkFreeMemory(device.handle, memory, nil)
    }

    private static func makeBuffer(_ device: OpenDevice, _ bytes: Int) throws(VulkanError)
        -> VkBuffer
    {
        var buffer: VkBuffer = 0
        let result = withArguments { arguments in
            let families = device.physical.queueFamilies
            let stored = arguments.store(families)
            let info = arguments.make(VkBufferCreateInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO
                $0.size = UInt64(bytes)
                $0.usage =
                    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT
                    | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT
                // Otherwise each weight would have to change its owner before and after its copy.
                if families.count > 1 {
                    $0.sharingMode = VK_SHARING_MODE_CONCURRENT
                    $0.queueFamilyIndexCount = UInt32(families.count)
                    $0.pQueueFamilyIndices = UnsafePointer(stored)
                }
            }
            return device.functions.vkCreateBuffer(device.handle, info, nil, &buffer)
        }
        try device.check(result, "a buffer of \(bytes) bytes")
        return buffer
    }

    private static func allocate(
        _ device: OpenDevice, for buffer: VkBuffer, _ use: MemoryUse
    ) throws(VulkanError) -> VkDeviceMemory {
        var needs = VkMemoryRequirements()
        device.functions.vkGetBufferMemoryRequirements(device.handle, buffer, &needs)
        guard let type = device.physical.memory.type(for: use, allowed: needs.memoryTypeBits) else {
            throw VulkanError(
                .feature, "the Vulkan device '\(device.name)' has no memory for \(use)s of buffers."
            )
        }
        var memory: VkDeviceMemory = 0
        let result = withArguments { arguments in
            let flags = arguments.make(VkMemoryAllocateFlagsInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO
                $0.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT
            }
            let info = arguments.make(VkMemoryAllocateInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO
                $0.pNext = UnsafeRawPointer(flags)
                $0.allocationSize = needs.size
                $0.memoryTypeIndex = type
            }
            return device.functions.vkAllocateMemory(device.handle, info, nil, &memory)
        }
        try device.check(result, "\(needs.size) bytes")
        return memory
    }
}
