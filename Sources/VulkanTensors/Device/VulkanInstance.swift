// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// The library of Vulkan, opened at run time, with an instance.
final class VulkanInstance: @unchecked Sendable {
    // Unchecked: constant pointers to objects that may be used from all threads.
    let library: OpaquePointer
    let handle: OpaquePointer
    let functions: ink_vk_instance_functions

    /// The instance of this process, or the reason why there is none.
    ///
    /// It is never destroyed, since devices of any lifetime depend on it.
    static let shared = Result { () throws(VulkanError) in try VulkanInstance() }

    /// File name of the library.
    static var libraryName: String {
        #if os(macOS)
            "libvulkan.1.dylib"
        #else
            "libvulkan.so.1"
        #endif
    }

    /// Opens a library and creates an instance.
    init(library name: String = libraryName) throws(VulkanError) {
        var reason: UnsafePointer<CChar>?
        guard let library = ink_vk_open(name, &reason) else {
            let text = reason.map { String(cString: $0) } ?? "unknown reason"
            throw VulkanError(
                .library,
                "Vulkan is not available: \(name) cannot be opened (\(text)). Install libvulkan1 and the"
                    + " driver of the graphics card, or use the CPU.")
        }
        self.library = library
        let handle = try Self.makeInstance(library)
        self.handle = handle
        var functions: ink_vk_instance_functions?
        let missing = withUnsafeTemporaryAllocation(of: ink_vk_instance_functions.self, capacity: 1)
        {
            memory -> String? in
            guard let table = memory.baseAddress else { return "memory" }
            if let missing = ink_vk_load_instance(library, handle, table) {
                return String(cString: missing)
            }
            functions = table.pointee
            return nil
        }
        guard let functions else {
            throw VulkanError(
                .library,
                "\(name) has no function \(missing ?? "table"). Install a libvulkan1 of Vulkan 1.3."
            )
        }
        self.functions = functions
    }

    private static func makeInstance(_ library: OpaquePointer) throws(VulkanError) -> OpaquePointer
    {
        var handle: OpaquePointer?
        let result = withArguments { memory in
            let name = memory.store("Inkstone")
            let application = memory.make(VkApplicationInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO
                $0.pApplicationName = name
                $0.apiVersion = VK_API_VERSION_1_3
            }
            let info = memory.make(VkInstanceCreateInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO
                $0.pApplicationInfo = UnsafePointer(application)
            }
            return ink_vk_create_instance(library, info, &handle)
        }
        if result == VK_ERROR_INCOMPATIBLE_DRIVER { throw noDevice }
        guard result == VK_SUCCESS, let handle else {
            throw VulkanError(
                .library,
                "Vulkan cannot be started: vkCreateInstance returned \(result.rawValue). Update libvulkan1"
                    + " and the driver of the graphics card, or use the CPU.")
        }
        return handle
    }

    /// The error if Vulkan works, but has no device.
    static let noDevice = VulkanError(
        .noDevice,
        "Vulkan has no device: the driver of the graphics card is not installed, or not visible to this"
            + " process. Install it, or use the CPU; in a container, NVIDIA_DRIVER_CAPABILITIES must"
            + " include 'graphics'.")

    /// Returns all devices with what they have, in Vulkan's order.
    func physicalDevices() throws(VulkanError) -> [PhysicalDevice] {
        var count: UInt32 = 0
        var result = functions.vkEnumeratePhysicalDevices(handle, &count, nil)
        var handles = [OpaquePointer?](repeating: nil, count: Int(count))
        if result == VK_SUCCESS, count > 0 {
            result = functions.vkEnumeratePhysicalDevices(handle, &count, &handles)
        }
        let devices = handles.prefix(Int(count)).compactMap(\.self)
        guard result == VK_SUCCESS || result == VK_INCOMPLETE, !devices.isEmpty else {
            throw Self.noDevice
        }
        return devices.enumerated().map { PhysicalDevice($1, index: $0, instance: self) }
    }
}

/// Returns the facts of all Vulkan devices, also of those that lack a feature.
///
/// - Throws: One sentence if Vulkan is not installed or has no devices.
package func vulkanDevices() throws(VulkanError) -> [DeviceFacts] {
    try VulkanInstance.shared.get().physicalDevices().map(\.facts)
}

/// Throws the reason why a library of Vulkan cannot be used, for tests of its sentences.
package func checkVulkan(library: String) throws(VulkanError) {
    _ = try VulkanInstance(library: library).physicalDevices()
}
