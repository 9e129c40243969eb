// Part of Inkstone. Licence: see LICENSE.

import Foundation

#if canImport(Darwin)
    import Darwin
#endif

/// The name of this machine's processor.
package enum ProcessorName {
    /// The name that the system reports; `nil` if it reports none.
    package static let current: String? = {
        #if canImport(Darwin)
            var characters = [UInt8](repeating: 0, count: 256)
            var size = characters.count
            guard sysctlbyname("machdep.cpu.brand_string", &characters, &size, nil, 0) == 0 else {
                return nil
            }
            return String(decoding: characters.prefix { $0 != 0 }, as: UTF8.self)
        #else
            return (try? String(contentsOf: URL(filePath: "/proc/cpuinfo"), encoding: .utf8))
                .flatMap(parse)
        #endif
    }()

    /// Returns the name in a text in the form of Linux's `/proc/cpuinfo`.
    ///
    /// On ARM there is none; the numbers of the manufacturer and the core are in its place, such as
    /// `ARM implementer 0x41, part 0xd0c`, with each kind of core once.
    package static func parse(_ text: String) -> String? {
        var implementer: Substring = "not known"
        var cores: [String] = []
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let key = line[..<colon].trimmingCharacters(in: .whitespaces)
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            switch key {
            case "model name": return String(value)
            case "CPU implementer": implementer = value
            case "CPU part":
                let core = "ARM implementer \(implementer), part \(value)"
                if !cores.contains(core) { cores.append(core) }
            default: break
            }
        }
        return cores.isEmpty ? nil : cores.joined(separator: " and ")
    }
}
