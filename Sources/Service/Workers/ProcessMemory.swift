// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The resident memory of this process in bytes, mapped files included; 0 where the system does not report it.
package enum ProcessMemory {
    /// The current size.
    package static var resident: Int { bytes("VmRSS:") }

    /// The largest size since the start, or since `resetPeak`.
    package static var peak: Int { bytes("VmHWM:") }

    /// Sets the largest size to the current one.
    package static func resetPeak() {
        try? Data("5".utf8).write(to: URL(filePath: "/proc/self/clear_refs"))
    }

    private static func bytes(_ field: String) -> Int {
        // Lines look like "VmRSS:      1234 kB".
        guard
            let text = try? String(contentsOf: URL(filePath: "/proc/self/status"), encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix(field) }),
            let kilobytes = line.split(whereSeparator: \.isWhitespace).compactMap({ Int($0) }).first
        else { return 0 }
        return kilobytes * 1024
    }
}
