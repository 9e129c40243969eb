// Part of Inkstone. Licence: see LICENSE.

/// Choice of a Vulkan device.
package enum DeviceChoice: Sendable, Equatable {
    /// The best device that lacks nothing: discrete before integrated before software.
    case automatic
    /// The device of a number, from 0.
    case number(Int)
    /// The device of a name or of a part of it, in any case.
    case name(String)

    /// Reads "vulkan", "vulkan:1" or "vulkan:rtx"; returns `nil` for anything else.
    package init?(argument text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.first?.lowercased() == "vulkan", parts.count == 1 || !parts[1].isEmpty
        else { return nil }
        if parts.count == 1 {
            self = .automatic
        } else {
            self = Int(parts[1]).map { .number($0) } ?? .name(String(parts[1]))
        }
    }

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
