// Part of Inkstone. Licence: see LICENSE.

import CVulkan
package import Tensors

/// What a device is opened with beside its choice.
package struct VulkanOptions: Sendable {
    /// Order of the commands between two barriers.
    package var order = RecordingOrder.asRecorded
    /// Use of instructions that multiply matrices.
    package var matrices = MatrixUse.automatic
    /// Shaders in SPIR-V that take precedence over the embedded ones, by name.
    package var shaders: [String: [UInt32]] = [:]
    /// Most bytes for weights and activations, or `nil` for all that the driver has.
    package var memoryLimit: Int?
    /// Bytes of the host's memory that uploads pass through.
    package var stagingBytes = 64 << 20
    /// Whether the driver shall report registers and spills of kernels.
    package var capturesStatistics = false

    /// The usual options.
    package init() {}
}

/// An opened Vulkan device with its memory and its recorder.
///
/// One caller at a time, except for buffers, which any thread can release.
package final class VulkanDevice: Sendable {
    /// What the device is and has.
    package let facts: DeviceFacts
    /// Records and submits commands.
    package let recorder: Recorder
    let device: OpenDevice
    let pipelines: PipelineCache
    private let memory: MemoryPool
    private let readbacks: MemoryPool
    private let pinned: MemoryPool
    /// Most bytes for weights and activations.
    private let memoryLimit: Int?
    /// Stands in for buffers that could not be allocated.
    private let standIn: DeviceMemory

    /// Size of a block of memory.
    package static let blockBytes = 64 << 20
    private static let hostBlockBytes = 1 << 20

    /// Opens a device.
    ///
    /// - Throws: `VulkanError` if the library of Vulkan or the device is missing, or the device lacks a feature.
    package convenience init(
        _ choice: DeviceChoice, recording order: RecordingOrder
    ) throws(VulkanError) {
        var options = VulkanOptions()
        options.order = order
        try self.init(choice, options: options)
    }

    /// Opens a device with options.
    ///
    /// - Throws: `VulkanError` if the library of Vulkan or the device is missing, or the device lacks a feature.
    package init(
        _ choice: DeviceChoice, options: VulkanOptions = VulkanOptions()
    ) throws(VulkanError) {
        let candidates = try VulkanInstance.shared.get().physicalDevices()
        facts = try choice.select(from: candidates.map(\.facts))
        device = try OpenDevice(
            candidates[facts.index], capturesStatistics: options.capturesStatistics)
        let timeline = try Timeline(device)
        memoryLimit = options.memoryLimit
        memory = MemoryPool(
            device, timeline, use: .device, blockBytes: Self.blockBytes, limit: options.memoryLimit)
        pinned = MemoryPool(device, timeline, use: .upload, blockBytes: Self.blockBytes)
        readbacks = MemoryPool(
            device, timeline, use: .readback, blockBytes: Self.hostBlockBytes)
        pipelines = try PipelineCache(device, shaders: options.shaders)
        standIn = try DeviceMemory(device, bytes: MemoryPool.alignment, use: .device)
        let uploads = MemoryPool(device, timeline, use: .upload, blockBytes: Self.hostBlockBytes)
        recorder = try Recorder(
            device, timeline, pipelines: pipelines,
            staging: Staging(uploads: uploads, readbacks: readbacks, bytes: options.stagingBytes),
            order: options.order)
    }

    deinit { _ = device.functions.vkDeviceWaitIdle(device.handle) }

    /// Whether the device measures how long commands take.
    package var hasTimestamps: Bool { device.physical.timestampBits > 0 }

    /// Number of kernels that were compiled.
    package var compiledKernels: Int { pipelines.count }

    /// Returns what the driver reports about a compiled kernel, such as registers and spills, by the
    /// driver's names.
    ///
    /// Empty unless the device was opened with ``VulkanOptions/capturesStatistics`` and its driver supports
    /// VK_KHR_pipeline_executable_properties.
    package func statistics(of kernel: Kernel) throws(VulkanError) -> [String: Double] {
        try pipelines.statistics(of: kernel)
    }

    // MARK: Memory

    /// Returns device memory with unspecified content, aligned to 256 bytes.
    ///
    /// If there is none, what is recorded is submitted, and unused blocks are freed when it is finished.
    ///
    /// - Throws: `VulkanError` with the code `outOfMemory`.
    package func makeBuffer(bytes: Int) throws(VulkanError) -> DeviceBuffer {
        do { return try memory.allocate(bytes) } catch  where error.code == .outOfMemory {}
        recorder.submit()
        recorder.throttle(0)
        memory.trim()
        do { return try memory.allocate(bytes) } catch {
            guard error.code == .outOfMemory, bytes <= facts.largestBuffer else { throw error }
            let budget = memoryBudget
            throw VulkanError(
                .outOfMemory,
                "the memory of the Vulkan device '\(facts.name)' is insufficient: \(bytes >> 20) MiB more"
                    + " were requested, \(memory.bytes.used >> 20) MiB are in use, and the driver allows"
                    + " \(budget.total >> 20) MiB, of which \(budget.used >> 20) MiB are taken. Choose a"
                    + " smaller image, a smaller batch or a lower precision.")
        }
    }

    /// Like ``makeBuffer(bytes:)``, but the recorder remembers the error and drops the commands that
    /// follow; the result then has no memory of its own.
    package func makeBufferOrFail(bytes: Int) -> DeviceBuffer {
        orFail(bytes: bytes) { () throws(VulkanError) in try makeBuffer(bytes: bytes) }
    }

    /// Returns memory of the machine that the device can address, for content that is copied to the device
    /// when it is used; fails like ``makeBufferOrFail(bytes:)``.
    package func makePinnedBufferOrFail(bytes: Int) -> DeviceBuffer {
        orFail(bytes: bytes) { () throws(VulkanError) in try pinned.allocate(bytes) }
    }

    private func orFail(
        bytes: Int, _ make: () throws(VulkanError) -> DeviceBuffer
    ) -> DeviceBuffer {
        do throws(VulkanError) {
            return try make()
        } catch {
            recorder.fail(error)
            return DeviceBuffer(
                standIn, offset: 0, capacity: MemoryPool.alignment, bytes: bytes, pool: nil)
        }
    }

    /// Returns memory that kernels write and the host reads, through ``DeviceBuffer/hostAddress``, when
    /// the submission of the kernel is finished.
    ///
    /// - Throws: `VulkanError` with the code `outOfMemory`.
    package func makeHostBuffer(bytes: Int) throws(VulkanError) -> DeviceBuffer {
        try readbacks.allocate(bytes)
    }

    /// Bytes of all blocks of device memory, and those of them that buffers use.
    package var memoryBytes: (allocated: Int, used: Int) { memory.bytes }

    /// Whether its memory is apart from the machine's, or is limited as if it were.
    package var hasOwnMemory: Bool { !facts.hasUnifiedMemory || memoryLimit != nil }

    /// Bytes of blocks in the machine's memory that hold what is copied to the device when it is used.
    package var pinnedBytes: Int { pinned.bytes.allocated }

    /// Frees the blocks that neither buffers nor unfinished submissions use.
    package func trim() { memory.trim() }

    /// What the driver and ``VulkanOptions/memoryLimit`` allow this process, and what it uses, in bytes of the
    /// heap for weights and activations.
    package var memoryBudget: (total: Int, used: Int) {
        let (total, used) = driverBudget
        // Of the driver's use a part may be of kernels and command buffers.
        return (min(total, memoryLimit.map { $0 + used - memory.bytes.allocated } ?? total), used)
    }

    /// What the driver allows and has given; without VK_EXT_memory_budget the heap's size and the pool's blocks.
    private var driverBudget: (total: Int, used: Int) {
        let allocated = memory.bytes.allocated
        guard facts.reportsBudget, let heap = device.physical.memory.deviceHeap else {
            return (facts.memoryBytes, allocated)
        }
        return withArguments { arguments in
            let budget = arguments.make(VkPhysicalDeviceMemoryBudgetPropertiesEXT.self) {
                $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT
            }
            let properties = arguments.make(VkPhysicalDeviceMemoryProperties2.self) {
                $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2
            }
            properties.pointee.pNext = UnsafeMutableRawPointer(budget)
            device.physical.instance.functions.vkGetPhysicalDeviceMemoryProperties2(
                device.physical.handle, properties)
            return (
                Int(clamping: elements(of: budget.pointee.heapBudget, as: UInt64.self)[heap]),
                Int(clamping: elements(of: budget.pointee.heapUsage, as: UInt64.self)[heap])
            )
        }
    }
}
