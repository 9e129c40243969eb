// Part of Inkstone. Licence: see LICENSE.

package import Tensors

extension DeviceChoice {
    /// Returns the chosen device.
    ///
    /// - Throws: `VulkanError` that lists the devices if none or several fit, or that names what the
    ///   chosen one lacks.
    package func select(from devices: [DeviceFacts]) throws(VulkanError) -> DeviceFacts {
        let list = devices.map { "\($0.index) '\($0.name)'" }.joined(separator: ", ")
        let chosen: DeviceFacts
        switch self {
        case .automatic:
            let usable = devices.filter(\.missing.isEmpty)
            if let best = usable.min(by: { ($0.kind, $0.index) < ($1.kind, $1.index) }) {
                return best
            }
            guard let first = devices.first else { throw VulkanInstance.noDevice }
            chosen = first
        case .number(let number):
            if let match = devices.first(where: { $0.index == number }) {
                chosen = match
            } else if devices.contains(where: {
                $0.name.split(separator: " ").contains(Substring(String(number)))
            }) {
                // Such as "4090".
                chosen = try Self.named(String(number), devices, list)
            } else {
                throw VulkanError(
                    .choice,
                    "there is no Vulkan device \(number). Choose one of these: \(list).")
            }
        case .name(let name):
            chosen = try Self.named(name, devices, list)
        }
        guard chosen.missing.isEmpty else {
            throw VulkanError(
                .feature,
                "the Vulkan device \(chosen.index) '\(chosen.name)' lacks"
                    + " \(chosen.missing.joined(separator: ", ")). Update its driver, or choose another"
                    + " device.")
        }
        return chosen
    }

    private static func named(
        _ name: String, _ devices: [DeviceFacts], _ list: String
    ) throws(VulkanError) -> DeviceFacts {
        let wanted = name.lowercased()
        let exact = devices.filter { $0.name.lowercased() == wanted }
        let matches =
            exact.isEmpty ? devices.filter { $0.name.lowercased().contains(wanted) } : exact
        guard let match = matches.first else {
            throw VulkanError(
                .choice, "no Vulkan device is named '\(name)'. Choose one of these: \(list).")
        }
        guard matches.count == 1 else {
            throw VulkanError(
                .choice,
                "\(matches.count) Vulkan devices are named '\(name)'. Choose one by its number:"
                    + " \(list).")
        }
        return match
    }
}
