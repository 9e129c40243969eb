// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Tensors
import VulkanTensors

/// A device that images are made on.
enum VerifiedDevice: Hashable {
    case cpu
    /// The GPU of a number.
    case vulkan(Int)

    /// Name in options and reports.
    var name: String {
        switch self {
        case .cpu: "cpu"
        case .vulkan(let number): "vulkan:\(number)"
        }
    }
}

extension VerifiedImageOptions {
    /// Returns the chosen devices, each once; without a choice the processor and all GPUs.
    ///
    /// `leftOut` is called with a sentence for each GPU that cannot be used.
    ///
    /// - Throws: `VulkanError` if a chosen GPU is not there, or lacks what the kernels need.
    func devices(leftOut: (String) -> Void) throws -> [VerifiedDevice] {
        guard device.isEmpty else {
            return try device.flatMap(\.all).map { choice in
                switch choice {
                case .cpu: return .cpu
                case .vulkan(let choice):
                    return .vulkan(try choice.select(from: try vulkanDevices()).index)
                case .automatic:
                    throw ValidationError(
                        "--device must name devices here, got '\(choice.argument)'.")
                }
            }.withoutRepetitions
        }
        // Without the Vulkan library or a driver, no GPU is listed.
        let (usable, incomplete) = DeviceFacts.gpus(among: (try? vulkanDevices()) ?? [])
        for gpu in incomplete {
            leftOut(
                "No images on GPU \(gpu.index), \(gpu.name): it lacks"
                    + " \(gpu.missing.joined(separator: ", ")).")
        }
        return [.cpu] + usable.map { .vulkan($0.index) }
    }
}
