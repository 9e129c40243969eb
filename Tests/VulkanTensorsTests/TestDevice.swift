// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

/// The Vulkan device of the tests: the best one of this machine, or the one that
/// `Scripts/software-gpu` makes the only one.
enum TestDevice {
    /// Whether there is one. Without, `Scripts/run-tests` says why these tests are left out.
    static let isAvailable =
        (try? vulkanDevices().contains { $0.missing.isEmpty }) ?? false

    /// Whether it is the processor.
    static let isSoftware =
        ((try? DeviceChoice.automatic.select(from: vulkanDevices()))?.isSoftware) ?? false

    /// Opens the device with the kernels of tests.
    static func open(
        _ order: RecordingOrder = .asRecorded, memoryLimit: Int? = nil, stagingBytes: Int? = nil
    ) throws -> VulkanDevice {
        var options = VulkanOptions()
        options.order = order
        options.shaders = ["affine": AffineShader.words]
        options.memoryLimit = memoryLimit
        if let stagingBytes { options.stagingBytes = stagingBytes }
        return try VulkanDevice(.automatic, options: options)
    }

    /// Opens the device with the model's kernels.
    static func backend(
        _ order: RecordingOrder = .asRecorded, precision: Precision = .f32,
        matrices: MatrixUse = .automatic, memoryLimit: Int? = nil
    ) throws -> VulkanBackend {
        var options = VulkanOptions()
        options.order = order
        options.matrices = matrices
        options.memoryLimit = memoryLimit
        return try VulkanBackend(.automatic, precision: precision, options: options)
    }
}

extension Trait where Self == ConditionTrait {
    /// Leaves a test out where there is no Vulkan device.
    static var needsVulkan: Self {
        .enabled(if: TestDevice.isAvailable, "no Vulkan device")
    }
}
