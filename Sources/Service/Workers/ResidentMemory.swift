// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Bytes of this process in memory, 0 where the system does not say.
func residentMemory() -> Int {
    // Lines look like "VmRSS:      1234 kB".
    guard
        let text = try? String(contentsOf: URL(filePath: "/proc/self/status"), encoding: .utf8),
        let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
        let kilobytes = line.split(whereSeparator: \.isWhitespace).compactMap({ Int($0) }).first
    else { return 0 }
    return kilobytes * 1024
}
