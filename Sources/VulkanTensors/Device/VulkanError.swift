// Part of Inkstone. Licence: see LICENSE.

import CVulkan
import Tensors

/// Why Vulkan or one of its devices cannot be used.
package struct VulkanError: DeviceError, Sendable, Equatable {
    /// Coarse reason; switch on this.
    package enum Code: Sendable, Equatable {
        /// The Vulkan library is missing or unusable.
        case library
        /// Vulkan has no devices.
        case noDevice
        /// The choice fits no device, or several.
        case choice
        /// The device lacks a feature.
        case feature
        /// The memory of the device or of the host is insufficient.
        case outOfMemory
        /// The driver reset the device; nothing works until it is opened again.
        case deviceLost
        /// A shader is missing, or the driver does not compile it.
        case shader
        /// Any other failure of the driver.
        case driver
    }

    /// Coarse reason.
    package let code: Code
    /// What failed, what was expected, and what to do.
    package let description: String

    /// See `DeviceError`.
    package var isOutOfMemory: Bool { code == .outOfMemory }
    /// See `DeviceError`.
    package var isLost: Bool { code == .deviceLost }

    /// Creates an error of a code.
    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    /// The error of a function of Vulkan that failed on `device` at `action`, such as "a submission".
    init(_ result: VkResult, _ action: String, device: String) {
        switch result {
        case VK_ERROR_DEVICE_LOST:
            self.init(
                .deviceLost,
                "the Vulkan device '\(device)' was lost at \(action): its driver reset it, or it was"
                    + " removed. Restart the process; the system's log has the reason.")
        case VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_FRAGMENTATION:
            let owner = result == VK_ERROR_OUT_OF_HOST_MEMORY ? "the host" : "the device"
            self.init(
                .outOfMemory,
                "the memory of \(owner) is insufficient for \(action) on the Vulkan device"
                    + " '\(device)'.")
        default:
            self.init(
                .driver,
                "\(action) failed on the Vulkan device '\(device)' with VkResult"
                    + " \(result.rawValue). Update its driver, or choose another device.")
        }
    }
}
