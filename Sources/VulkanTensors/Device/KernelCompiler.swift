// Part of Inkstone. Licence: see LICENSE.

import CVulkan
package import Tensors

/// A device that compiles kernels and runs none, as drivers can without hardware.
package struct KernelCompiler {
    /// What the device is and has.
    package let facts: DeviceFacts
    private let pipelines: PipelineCache

    /// Opens a device.
    ///
    /// - Throws: `VulkanError` if the library of Vulkan or the device is missing, or the device lacks a feature.
    package init(_ choice: DeviceChoice) throws(VulkanError) {
        let candidates = try VulkanInstance.shared.get().physicalDevices()
        facts = try choice.select(from: candidates.map(\.facts))
        let device = try OpenDevice(candidates[facts.index], capturesStatistics: true)
        pipelines = try PipelineCache(device, shaders: [:])
    }

    /// Returns what the driver reports about a compiled kernel, such as registers and spills, by the driver's
    /// names.
    ///
    /// Empty if the driver does not support VK_KHR_pipeline_executable_properties.
    package func statistics(of kernel: Kernel) throws(VulkanError) -> [String: Double] {
        try pipelines.statistics(of: kernel)
    }
}
