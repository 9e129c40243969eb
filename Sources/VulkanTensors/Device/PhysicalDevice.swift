// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// A device of an instance, before it is opened.
struct PhysicalDevice: @unchecked Sendable {
    // Unchecked: a constant pointer to an object that may be used from all threads.
    let handle: OpaquePointer
    let instance: VulkanInstance
    let facts: DeviceFacts
    /// Names of the extensions that the device supports.
    let extensions: Set<String>
    /// Number of the queue family for kernels.
    let queueFamily: UInt32
    /// Number of a queue family that does nothing but transfers; `nil` if there is none.
    let transferFamily: UInt32?
    let memory: MemoryTypes
    /// Bits of a timestamp of that family; 0 if it has none.
    let timestampBits: Int
    /// Nanoseconds for each unit of a timestamp.
    let timestampPeriod: Double

    /// The families of all queues that are used.
    var queueFamilies: [UInt32] { [queueFamily] + (transferFamily.map { [$0] } ?? []) }

    /// Reads what a device has.
    init(_ handle: OpaquePointer, index: Int, instance: VulkanInstance) {
        self.handle = handle
        self.instance = instance
        let extensions = Self.extensions(of: handle, instance)
        let families = Self.queueFamilies(of: handle, instance)
        let family = Self.queueFamily(among: families)
        let transferFamily = TransferFamily.index(among: families.map(\.queueFlags))
        let features = DeviceFeatures(handle, instance, extensions: extensions)
        let properties = DeviceProperties(handle, instance)
        let memory = MemoryTypes(handle, instance)
        var missing = features.missing
        if properties.apiVersion < VK_API_VERSION_1_3 {
            missing = ["Vulkan 1.3 (it has \(properties.apiVersionText))"]
        }
        if family == nil { missing.append("a queue for compute shaders") }
        facts = DeviceFacts(
            index: index, name: properties.name, vendorID: properties.vendorID,
            deviceID: properties.deviceID, kind: properties.kind, driverName: properties.driverName,
            driverVersion: properties.driverVersion, apiVersion: properties.apiVersionText,
            memoryBytes: memory.deviceHeapBytes,
            reportsBudget: extensions.contains("VK_EXT_memory_budget"),
            subgroupSize: properties.subgroupSize, subgroupSizes: properties.subgroupSizes,
            sharedMemoryBytes: Int(properties.limits.maxComputeSharedMemorySize),
            workgroupThreads: Int(properties.limits.maxComputeWorkGroupInvocations),
            dispatchGroups: elements(
                of: properties.limits.maxComputeWorkGroupCount, as: UInt32.self
            ).map(Int.init),
            largestBuffer: properties.largestBuffer, hasF16: features.hasF16,
            hasInt16: features.hasInt16, hasInt8Dot: features.hasInt8Dot,
            hasFastInt8Dot: properties.hasFastInt8Dot,
            matrixShapes: features.hasMatrices ? Self.matrixShapes(of: handle, instance) : [],
            missing: missing, hasTransferQueue: transferFamily != nil)
        self.extensions = extensions
        self.queueFamily = family?.index ?? 0
        self.transferFamily = transferFamily.map(UInt32.init)
        timestampBits = family?.timestampBits ?? 0
        timestampPeriod = Double(properties.limits.timestampPeriod)
        self.memory = memory
    }

    private static func extensions(of device: OpaquePointer, _ instance: VulkanInstance) -> Set<
        String
    > {
        let list = instance.functions.vkEnumerateDeviceExtensionProperties
        var count: UInt32 = 0
        guard list(device, nil, &count, nil) == VK_SUCCESS else { return [] }
        var properties = [VkExtensionProperties](
            repeating: VkExtensionProperties(), count: Int(count))
        let result = list(device, nil, &count, &properties)
        guard result == VK_SUCCESS || result == VK_INCOMPLETE else { return [] }
        return Set(properties.prefix(Int(count)).map { text(of: $0.extensionName) })
    }

    private static func queueFamilies(
        of device: OpaquePointer, _ instance: VulkanInstance
    ) -> [VkQueueFamilyProperties] {
        let list = instance.functions.vkGetPhysicalDeviceQueueFamilyProperties
        var count: UInt32 = 0
        list(device, &count, nil)
        var families = [VkQueueFamilyProperties](
            repeating: VkQueueFamilyProperties(), count: Int(count))
        list(device, &count, &families)
        return Array(families.prefix(Int(count)))
    }

    private static func queueFamily(
        among families: [VkQueueFamilyProperties]
    ) -> (index: UInt32, timestampBits: Int)? {
        let computing = families.enumerated().filter {
            $0.element.queueFlags & VK_QUEUE_COMPUTE_BIT != 0
        }
        // Long kernels on a queue for graphics would stop the desktop.
        let own = computing.first { $0.element.queueFlags & VK_QUEUE_GRAPHICS_BIT == 0 }
        return (own ?? computing.first).map {
            (UInt32($0.offset), Int($0.element.timestampValidBits))
        }
    }

    private static func matrixShapes(
        of device: OpaquePointer, _ instance: VulkanInstance
    ) -> [MatrixShape] {
        guard let list = instance.functions.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR
        else { return [] }
        var count: UInt32 = 0
        guard list(device, &count, nil) == VK_SUCCESS, count > 0 else { return [] }
        return withArguments { memory in
            let properties = memory.make(VkCooperativeMatrixPropertiesKHR.self, count: Int(count)) {
                $0.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR
            }
            let result = list(device, &count, properties)
            guard result == VK_SUCCESS || result == VK_INCOMPLETE else { return [] }
            return UnsafeBufferPointer(start: properties, count: Int(count))
                .filter { $0.scope == VK_SCOPE_SUBGROUP_KHR && $0.saturatingAccumulation == 0 }
                .map { MatrixShape($0) }
        }
    }
}

extension MatrixShape {
    fileprivate init(_ properties: VkCooperativeMatrixPropertiesKHR) {
        self.init(
            m: Int(properties.MSize), n: Int(properties.NSize), k: Int(properties.KSize),
            a: Element(properties.AType), b: Element(properties.BType),
            c: Element(properties.CType), result: Element(properties.ResultType))
    }
}

extension MatrixShape.Element {
    fileprivate init(_ type: VkComponentTypeKHR) {
        self =
            switch type {
            case VK_COMPONENT_TYPE_FLOAT16_KHR: .f16
            case VK_COMPONENT_TYPE_FLOAT32_KHR: .f32
            case VK_COMPONENT_TYPE_FLOAT64_KHR: .f64
            case VK_COMPONENT_TYPE_SINT8_KHR: .s8
            case VK_COMPONENT_TYPE_SINT16_KHR: .s16
            case VK_COMPONENT_TYPE_SINT32_KHR: .s32
            case VK_COMPONENT_TYPE_SINT64_KHR: .s64
            case VK_COMPONENT_TYPE_UINT8_KHR: .u8
            case VK_COMPONENT_TYPE_UINT16_KHR: .u16
            case VK_COMPONENT_TYPE_UINT32_KHR: .u32
            case VK_COMPONENT_TYPE_UINT64_KHR: .u64
            default: .other
            }
    }
}
