// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// GPUs whose device files are visible to this process, for comparisons with Vulkan's devices.
package struct HiddenGPUs: Sendable {
    /// A file of Linux's direct rendering manager that computes.
    package struct Node: Sendable, Equatable {
        package let path: String
        /// PCI vendor.
        package let vendorID: UInt32?
        /// Whether this process can open it.
        package let isAccessible: Bool

        /// Creates a node, for tests.
        package init(path: String, vendorID: UInt32?, isAccessible: Bool) {
            self.path = path
            self.vendorID = vendorID
            self.isAccessible = isAccessible
        }
    }

    /// Whether NVIDIA's kernel driver is visible.
    private let hasNVIDIA: Bool
    private let nodes: [Node]
    /// What a container is given of NVIDIA's driver.
    private let capabilities: String?

    /// Creates an observation, for tests.
    package init(hasNVIDIA: Bool, nodes: [Node], capabilities: String?) {
        self.hasNVIDIA = hasNVIDIA
        self.nodes = nodes
        self.capabilities = capabilities
    }

    /// Looks at the files of this machine.
    package init() {
        let files = FileManager.default
        let names = (try? files.contentsOfDirectory(atPath: "/dev/dri")) ?? []
        let nodes = names.filter { $0.hasPrefix("renderD") }.sorted().map { name in
            let vendor = try? String(
                contentsOfFile: "/sys/class/drm/\(name)/device/vendor", encoding: .utf8)
            let path = "/dev/dri/\(name)"
            return Node(
                path: path, vendorID: vendor.flatMap(Self.number),
                isAccessible: files.isReadableFile(atPath: path)
                    && files.isWritableFile(atPath: path))
        }
        self.init(
            hasNVIDIA: files.fileExists(atPath: "/dev/nvidiactl"), nodes: nodes,
            capabilities: ProcessInfo.processInfo.environment["NVIDIA_DRIVER_CAPABILITIES"])
    }

    /// Reads a line such as "0x10de".
    private static func number(_ line: String) -> UInt32? {
        let text = line.split(whereSeparator: \.isWhitespace).first ?? ""
        return text.hasPrefix("0x") ? UInt32(text.dropFirst(2), radix: 16) : nil
    }

    /// Returns a sentence for each GPU that Vulkan does not list: what is missing, and what to do.
    package func sentences(beside devices: [DeviceFacts]) -> [String] {
        let listed = Set(devices.map(\.vendorID))
        var sentences: [String] = []
        if hasNVIDIA, !listed.contains(DeviceFacts.nvidia) { sentences.append(nvidia) }
        for node in nodes {
            guard let vendor = node.vendorID, let name = Self.names[vendor],
                !listed.contains(vendor)
            else { continue }
            sentences.append(
                node.isAccessible
                    ? "\(name) GPU is visible (\(node.path)) and its Vulkan driver is not: install"
                        + " mesa-vulkan-drivers"
                    : "\(name) GPU is visible, but this user cannot open \(node.path): add the user to the"
                        + " file's group, often 'render'; in a container, with --device /dev/dri and --group-add"
            )
        }
        return sentences
    }

    private static let names = [DeviceFacts.amd: "an AMD", DeviceFacts.intel: "an Intel"]

    private var nvidia: String {
        let parts = (capabilities ?? "").split(separator: ",").map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        if let capabilities, !parts.contains("graphics"), !parts.contains("all") {
            return
                "an NVIDIA GPU is visible without its Vulkan driver, since NVIDIA_DRIVER_CAPABILITIES is"
                + " '\(capabilities)': set it to graphics,compute,utility"
        }
        return
            "an NVIDIA GPU is visible and its Vulkan driver is not: install the package of the driver that"
            + " contains nvidia_icd.json, such as libnvidia-gl; in a container, set"
            + " NVIDIA_DRIVER_CAPABILITIES to graphics,compute,utility"
    }
}
