// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// Reads processes from `/proc`; everything is `nil` on systems without it.
package enum ProcessTable {
    /// Resource usage of some processes.
    package struct Reading: Sendable, Equatable {
        /// Processor seconds so far, user and system.
        package var cpu: Double
        /// MiB.
        package var resident: Double
    }

    /// The process that listens on a TCP port of this machine.
    package static func listener(on port: Int) -> Int? {
        let suffix = ":" + port.hexadecimal(digits: 4, uppercase: true)
        var inodes: Set<String> = []
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            for line in lines(table).dropFirst() {
                let cells = line.split(separator: " ")
                // 0A is the state LISTEN.
                if cells.count > 9, cells[1].hasSuffix(suffix), cells[3] == "0A" {
                    inodes.insert("socket:[\(cells[9])]")
                }
            }
        }
        guard !inodes.isEmpty else { return nil }
        // A parent that passed the socket to its children has the lowest id.
        return processes().sorted().first { process in
            let folder = "/proc/\(process)/fd"
            let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            return files.contains { file in
                let target = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "\(folder)/\(file)")
                return target.map(inodes.contains) ?? false
            }
        }
    }

    /// A process and its descendants.
    package static func tree(_ root: Int) -> [Int] {
        var children: [Int: [Int]] = [:]
        for process in processes() {
            if let parent = stat(process).flatMap({ Int($0[1]) }) {
                children[parent, default: []].append(process)
            }
        }
        var found: [Int] = []
        var open = [root]
        while let process = open.popLast() {
            guard !found.contains(process) else { continue }
            found.append(process)
            open += children[process] ?? []
        }
        return found
    }

    /// The sum of processor time and resident memory of some processes.
    package static func reading(_ processes: [Int]) -> Reading? {
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        let page = Double(sysconf(Int32(_SC_PAGESIZE))) / 1_048_576
        let cells = processes.compactMap { stat($0) }.filter { $0.count > 21 }
        guard !cells.isEmpty else { return nil }
        return cells.reduce(into: Reading(cpu: 0, resident: 0)) { sum, cells in
            sum.cpu += ((Double(cells[11]) ?? 0) + (Double(cells[12]) ?? 0)) / ticks
            sum.resident += (Double(cells[21]) ?? 0) * page
        }
    }

    /// The sum of the proportional set sizes of some processes, MiB.
    package static func proportional(_ processes: [Int]) -> Double? {
        let sizes = processes.compactMap { process -> Double? in
            lines("/proc/\(process)/smaps_rollup").first { $0.hasPrefix("Pss:") }
                .flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Double($0) }
        }
        return sizes.isEmpty ? nil : sizes.reduce(0, +) / 1024
    }

    // MARK: Reading

    private static func processes() -> [Int] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap {
            Int($0)
        }
    }

    /// The fields of `stat` after the name, which may contain spaces: state, parent, ...
    private static func stat(_ process: Int) -> [Substring]? {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        return text[text.index(after: end)...].split(separator: " ")
    }

    static func lines(_ path: String) -> [Substring] {
        (try? String(contentsOfFile: path, encoding: .utf8))?.split(separator: "\n") ?? []
    }
}

extension HostFacts {
    /// The facts of this machine.
    package static var current: HostFacts {
        let kernel = ProcessTable.lines("/proc/sys/kernel/osrelease").first.map(String.init)
        return HostFacts(
            name: ProcessInfo.processInfo.hostName,
            kernel: kernel ?? ProcessInfo.processInfo.operatingSystemVersionString,
            processor: ProcessorName.current ?? "unknown",
            logicalProcessors: ProcessInfo.processInfo.activeProcessorCount,
            memory: Double(ProcessInfo.processInfo.physicalMemory) / 1_048_576)
    }
}
