// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import Tensors
import ZImage

/// What figures of a machine depend on, without its name.
struct Machine: Encodable {
    /// Name of the processor.
    let processor: String
    /// Threads of the processor.
    let threads: Int
    /// Instruction sets for which there are kernels.
    let kernels: [String]
    /// Bytes of memory.
    let memory: Int
    /// Name of the operating system.
    let system: String

    init() {
        processor = ProcessorName.current ?? "not known"
        threads = ProcessInfo.processInfo.activeProcessorCount
        kernels = CPUBackend.availableKernels
        memory = Int(ProcessInfo.processInfo.physicalMemory)
        system =
            Self.distribution ?? ProcessInfo.processInfo.operatingSystemVersionString
    }

    /// The name in `/etc/os-release`.
    private static var distribution: String? {
        guard
            let text = try? String(contentsOf: URL(filePath: "/etc/os-release"), encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("PRETTY_NAME=") })
        else { return nil }
        return line.drop { $0 != "=" }.dropFirst()
            .trimmingCharacters(in: CharacterSet(charactersIn: " \t\""))
    }
}
