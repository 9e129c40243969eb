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
        processor =
            Self.value(of: "model name", in: "/proc/cpuinfo", separator: ":") ?? "not known"
        threads = ProcessInfo.processInfo.activeProcessorCount
        kernels = CPUBackend.availableKernels
        memory = Int(ProcessInfo.processInfo.physicalMemory)
        system =
            Self.value(of: "PRETTY_NAME", in: "/etc/os-release", separator: "=")
            ?? ProcessInfo.processInfo.operatingSystemVersionString
    }

    /// The value of the first line with a key.
    private static func value(
        of key: String, in file: String, separator: Character
    ) -> String? {
        guard let text = try? String(contentsOf: URL(filePath: file), encoding: .utf8) else {
            return nil
        }
        for line in text.split(separator: "\n") where line.hasPrefix(key) {
            guard let index = line.firstIndex(of: separator) else { continue }
            return line[line.index(after: index)...]
                .trimmingCharacters(in: CharacterSet(charactersIn: " \t\""))
        }
        return nil
    }
}
