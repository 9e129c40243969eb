// Part of Inkstone. Licence: see LICENSE.

/// Where a model runs, as options and requests name it.
package enum DeviceSelection: Sendable, Hashable {
    /// A GPU that has memory for the model, else the processor.
    case automatic
    /// The processor.
    case cpu
    /// A GPU, or a software device, through Vulkan.
    case vulkan(DeviceChoice)

    /// Reads "auto", "cpu" or a Vulkan device; returns `nil` for anything else.
    package init?(argument text: String) {
        switch text {
        case "auto": self = .automatic
        case "cpu": self = .cpu
        default:
            guard let choice = DeviceChoice(argument: text) else { return nil }
            self = .vulkan(choice)
        }
    }

    /// Reads devices with commas between them; returns `nil` if one is invalid.
    package static func list(argument text: String) -> [DeviceSelection]? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let devices = parts.compactMap { DeviceSelection(argument: String($0)) }
        return devices.count == parts.count ? devices : nil
    }

    /// The text that it is read from.
    package var argument: String {
        switch self {
        case .automatic: "auto"
        case .cpu: "cpu"
        case .vulkan(let choice): choice.argument
        }
    }

    /// Whether it is certainly a Vulkan device.
    package var isVulkan: Bool { if case .vulkan = self { true } else { false } }

    /// Whether the device is only known when it is opened.
    package var isOpen: Bool { self == .automatic || self == .vulkan(.automatic) }
}
