// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// Names, versions and limits of a device.
struct DeviceProperties {
    private let core: VkPhysicalDeviceProperties
    private let properties11: VkPhysicalDeviceVulkan11Properties
    private let properties12: VkPhysicalDeviceVulkan12Properties
    private let properties13: VkPhysicalDeviceVulkan13Properties

    /// Reads the properties of a device.
    init(_ device: OpaquePointer, _ instance: VulkanInstance) {
        (core, properties11, properties12, properties13) = withArguments { memory in
            let core = memory.make(VkPhysicalDeviceProperties2.self) {
                $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2
            }
            let p11 = memory.make(VkPhysicalDeviceVulkan11Properties.self) {
                $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES
            }
            let p12 = memory.make(VkPhysicalDeviceVulkan12Properties.self) {
                $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES
            }
            let p13 = memory.make(VkPhysicalDeviceVulkan13Properties.self) {
                $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES
            }
            CallArguments.link([.init(core), .init(p11), .init(p12), .init(p13)])
            instance.functions.vkGetPhysicalDeviceProperties2(device, core)
            return (core.pointee.properties, p11.pointee, p12.pointee, p13.pointee)
        }
    }

    var name: String { text(of: core.deviceName) }
    var vendorID: UInt32 { core.vendorID }
    var deviceID: UInt32 { core.deviceID }
    var apiVersion: UInt32 { core.apiVersion }
    var limits: VkPhysicalDeviceLimits { core.limits }
    var driverName: String { text(of: properties12.driverName) }
    var driverVersion: String { text(of: properties12.driverInfo) }
    var hasFastInt8Dot: Bool {
        properties13.integerDotProduct4x8BitPackedSignedAccelerated != 0
    }

    /// Such as "1.3.275".
    var apiVersionText: String {
        "\(apiVersion >> 22 & 0x7F).\(apiVersion >> 12 & 0x3FF).\(apiVersion & 0xFFF)"
    }

    var subgroupSize: Int { Int(properties11.subgroupSize) }

    /// The sizes that a kernel can require; only the usual one if it can require none.
    var subgroupSizes: ClosedRange<Int> {
        let (least, most) = (Int(properties13.minSubgroupSize), Int(properties13.maxSubgroupSize))
        let isRequirable =
            properties13.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT != 0
        return isRequirable && least <= most ? least...most : subgroupSize...subgroupSize
    }

    /// Largest buffer in bytes, which is also the largest allocation.
    var largestBuffer: Int {
        Int(clamping: min(properties11.maxMemoryAllocationSize, properties13.maxBufferSize))
    }

    var kind: DeviceFacts.Kind {
        switch core.deviceType {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: .discrete
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: .integrated
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: .virtual
        case VK_PHYSICAL_DEVICE_TYPE_CPU: .software
        default: .other
        }
    }
}
