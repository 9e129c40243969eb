// Part of Inkstone. Licence: see LICENSE.

/// Choice of a Vulkan device.
package enum DeviceChoice: Sendable, Hashable {
    /// The best device that lacks nothing: discrete before integrated before software.
    case automatic
    /// The device of a number, from 0.
    case number(Int)
    /// The device of a name or of a part of it, in any case.
    case name(String)

    /// Reads "vulkan", "vulkan:1" or "vulkan:rtx"; returns `nil` for anything else.
    package init?(argument text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.first?.lowercased() == "vulkan" else { return nil }
        guard parts.count == 2 else {
            self = .automatic
            return
        }
        let name = parts[1]
        // Control characters are in no name, and would be unreadable in a message.
        guard !name.isEmpty, name.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 })
        else { return nil }
        self = Int(name).map { .number($0) } ?? .name(String(name))
    }

    /// The text that it is read from.
    package var argument: String {
        switch self {
        case .automatic: "vulkan"
        case .number(let number): "vulkan:\(number)"
        case .name(let name): "vulkan:\(name)"
        }
    }
}
