// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// The features of a device that the backend requires or uses.
struct DeviceFeatures {
    /// Names of the required features that the device lacks.
    let missing: [String]
    let hasF16: Bool
    let hasInt16: Bool
    let hasInt8Dot: Bool
    /// Whether subgroup operations accept 8- and 16-bit types.
    let hasSubgroupTypes: Bool
    /// Whether the memory model has the scope of the device.
    let hasDeviceScope: Bool
    /// Whether subgroups can multiply matrices.
    let hasMatrices: Bool
    /// Whether matrices may have shapes that the device does not list, as on software devices.
    let hasFlexibleMatrices: Bool
    /// Whether the driver reports registers and spills of pipelines.
    let hasPipelineStatistics: Bool

    /// Reads the features of a device that supports `extensions`.
    init(_ device: OpaquePointer, _ instance: VulkanInstance, extensions: Set<String>) {
        self = withArguments { memory in
            let chain = FeatureChain(&memory, extensions: extensions)
            instance.functions.vkGetPhysicalDeviceFeatures2(device, chain.core)
            return DeviceFeatures(chain)
        }
    }

    private init(_ chain: FeatureChain) {
        let required: [(String, VkBool32)] = [
            ("shaderInt64", chain.core.pointee.features.shaderInt64),
            ("storageBuffer16BitAccess", chain.f11.pointee.storageBuffer16BitAccess),
            ("storageBuffer8BitAccess", chain.f12.pointee.storageBuffer8BitAccess),
            ("shaderInt8", chain.f12.pointee.shaderInt8),
            ("scalarBlockLayout", chain.f12.pointee.scalarBlockLayout),
            ("timelineSemaphore", chain.f12.pointee.timelineSemaphore),
            ("bufferDeviceAddress", chain.f12.pointee.bufferDeviceAddress),
            ("vulkanMemoryModel", chain.f12.pointee.vulkanMemoryModel),
            ("subgroupSizeControl", chain.f13.pointee.subgroupSizeControl),
            ("computeFullSubgroups", chain.f13.pointee.computeFullSubgroups),
            ("synchronization2", chain.f13.pointee.synchronization2),
            ("maintenance4", chain.f13.pointee.maintenance4),
        ]
        missing = required.filter { $0.1 == 0 }.map(\.0)
        hasF16 = chain.f12.pointee.shaderFloat16 != 0
        hasInt16 = chain.core.pointee.features.shaderInt16 != 0
        hasInt8Dot = chain.f13.pointee.shaderIntegerDotProduct != 0
        hasSubgroupTypes = chain.f12.pointee.shaderSubgroupExtendedTypes != 0
        hasDeviceScope = chain.f12.pointee.vulkanMemoryModelDeviceScope != 0
        hasMatrices = chain.matrices?.pointee.cooperativeMatrix == 1
        hasFlexibleMatrices = chain.flexible?.pointee.cooperativeMatrixFlexibleDimensions == 1
        hasPipelineStatistics = chain.statistics?.pointee.pipelineExecutableInfo == 1
    }

    /// Returns a chain that enables what the backend requires, and what it uses if the device has it.
    func enabledChain(
        _ memory: inout CallArguments, statistics: Bool
    ) -> UnsafeMutableRawPointer {
        var extensions: Set<String> = []
        if hasMatrices { extensions.insert(FeatureChain.matrixExtension) }
        if hasFlexibleMatrices { extensions.insert(FeatureChain.flexibleExtension) }
        if statistics { extensions.insert(FeatureChain.statisticsExtension) }
        let chain = FeatureChain(&memory, extensions: extensions)
        chain.core.pointee.features.shaderInt64 = 1
        chain.core.pointee.features.shaderInt16 = hasInt16 ? 1 : 0
        chain.f11.pointee.storageBuffer16BitAccess = 1
        chain.f12.pointee.storageBuffer8BitAccess = 1
        chain.f12.pointee.shaderInt8 = 1
        chain.f12.pointee.shaderFloat16 = hasF16 ? 1 : 0
        chain.f12.pointee.shaderSubgroupExtendedTypes = hasSubgroupTypes ? 1 : 0
        chain.f12.pointee.scalarBlockLayout = 1
        chain.f12.pointee.timelineSemaphore = 1
        chain.f12.pointee.bufferDeviceAddress = 1
        chain.f12.pointee.vulkanMemoryModel = 1
        chain.f12.pointee.vulkanMemoryModelDeviceScope = hasDeviceScope ? 1 : 0
        chain.f13.pointee.subgroupSizeControl = 1
        chain.f13.pointee.computeFullSubgroups = 1
        chain.f13.pointee.synchronization2 = 1
        chain.f13.pointee.maintenance4 = 1
        chain.f13.pointee.shaderIntegerDotProduct = hasInt8Dot ? 1 : 0
        chain.matrices?.pointee.cooperativeMatrix = 1
        chain.flexible?.pointee.cooperativeMatrixFlexibleDimensions = 1
        chain.statistics?.pointee.pipelineExecutableInfo = 1
        return UnsafeMutableRawPointer(chain.core)
    }
}

/// The structures that describe features, linked to each other.
private struct FeatureChain {
    static let matrixExtension = "VK_KHR_cooperative_matrix"
    static let flexibleExtension = "VK_NV_cooperative_matrix2"
    static let statisticsExtension = "VK_KHR_pipeline_executable_properties"

    let core: UnsafeMutablePointer<VkPhysicalDeviceFeatures2>
    let f11: UnsafeMutablePointer<VkPhysicalDeviceVulkan11Features>
    let f12: UnsafeMutablePointer<VkPhysicalDeviceVulkan12Features>
    let f13: UnsafeMutablePointer<VkPhysicalDeviceVulkan13Features>
    private(set) var matrices: UnsafeMutablePointer<VkPhysicalDeviceCooperativeMatrixFeaturesKHR>?
    private(set) var flexible: UnsafeMutablePointer<VkPhysicalDeviceCooperativeMatrix2FeaturesNV>?
    private(set) var statistics:
        UnsafeMutablePointer<VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR>?

    /// Allocates structures without features, those of extensions only if `extensions` has them.
    init(_ memory: inout CallArguments, extensions: Set<String>) {
        core = memory.make(VkPhysicalDeviceFeatures2.self) {
            $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2
        }
        f11 = memory.make(VkPhysicalDeviceVulkan11Features.self) {
            $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES
        }
        f12 = memory.make(VkPhysicalDeviceVulkan12Features.self) {
            $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES
        }
        f13 = memory.make(VkPhysicalDeviceVulkan13Features.self) {
            $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES
        }
        var chain: [UnsafeMutableRawPointer] = [.init(core), .init(f11), .init(f12), .init(f13)]
        if extensions.contains(Self.matrixExtension) {
            let matrices = memory.make(VkPhysicalDeviceCooperativeMatrixFeaturesKHR.self) {
                $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR
            }
            self.matrices = matrices
            chain.append(.init(matrices))
        }
        if extensions.contains(Self.flexibleExtension) {
            let flexible = memory.make(VkPhysicalDeviceCooperativeMatrix2FeaturesNV.self) {
                $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV
            }
            self.flexible = flexible
            chain.append(.init(flexible))
        }
        if extensions.contains(Self.statisticsExtension) {
            let type = VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR.self
            let statistics = memory.make(type) {
                $0.sType =
                    VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR
            }
            self.statistics = statistics
            chain.append(.init(statistics))
        }
        CallArguments.link(chain)
    }
}
