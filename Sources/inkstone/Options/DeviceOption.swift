// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import VulkanTensors

/// The device that a model runs on.
enum DeviceOption: ExpressibleByArgument, Equatable {
    /// The processor.
    case cpu
    /// A GPU, or a software device, through Vulkan.
    case vulkan(DeviceChoice)

    init?(argument: String) {
        if argument == "cpu" {
            self = .cpu
        } else if let choice = DeviceChoice(argument: argument) {
            self = .vulkan(choice)
        } else {
            return nil
        }
    }

    /// The option's text.
    var defaultValueDescription: String {
        switch self {
        case .cpu: "cpu"
        case .vulkan(.automatic): "vulkan"
        case .vulkan(.number(let number)): "vulkan:\(number)"
        case .vulkan(.name(let name)): "vulkan:\(name)"
        }
    }
}
