// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import VulkanTensors

/// The device that a model runs on.
enum DeviceOption: ExpressibleByArgument, Equatable {
    /// A GPU that has memory for the model, else the processor.
    case automatic
    /// The processor.
    case cpu
    /// A GPU, or a software device, through Vulkan.
    case vulkan(DeviceChoice)
    /// Devices of several workers.
    case several([DeviceOption])

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map(
            String.init)
        guard parts.count == 1 else {
            let devices = parts.compactMap(DeviceOption.init)
            guard devices.count == parts.count else { return nil }
            self = .several(devices)
            return
        }
        switch argument {
        case "auto": self = .automatic
        case "cpu": self = .cpu
        default:
            guard let choice = DeviceChoice(argument: argument) else { return nil }
            self = .vulkan(choice)
        }
    }

    /// The option's text.
    var defaultValueDescription: String {
        switch self {
        case .automatic: "auto"
        case .cpu: "cpu"
        case .vulkan(.automatic): "vulkan"
        case .vulkan(.number(let number)): "vulkan:\(number)"
        case .vulkan(.name(let name)): "vulkan:\(name)"
        case .several(let devices): devices.map(\.defaultValueDescription).joined(separator: ",")
        }
    }

    /// The device of each worker, in order.
    var all: [DeviceOption] {
        if case .several(let devices) = self { devices } else { [self] }
    }

    /// Whether it only says which GPU when it is opened.
    var isOpen: Bool { self == .automatic || self == .vulkan(.automatic) }

    /// Whether it can be a GPU.
    var mayBeGPU: Bool { all.contains { $0 != .cpu } }
}
