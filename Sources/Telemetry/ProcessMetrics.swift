// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// What the system knows about this process, under the names that all exporters use.
package enum ProcessMetrics {
    /// All metrics of the process; those that the system does not report are left out.
    package static func families() -> [MetricFamily] {
        var families = [
            gauge(
                "process_start_time_seconds", "When the process began, in Unix seconds.", startTime)
        ]
        var time = timespec()
        if clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 {
            families.append(
                MetricFamily(
                    "process_cpu_seconds_total", "Processor time used, in seconds.",
                    kind: .counter,
                    samples: [.init([], Double(time.tv_sec) + Double(time.tv_nsec) / 1e9)]))
        }
        if let memory = memoryPages() {
            let page = Double(sysconf(Int32(_SC_PAGESIZE)))
            families.append(
                gauge(
                    "process_virtual_memory_bytes", "Addresses in use, in bytes.",
                    memory.virtual * page))
            families.append(
                gauge(
                    "process_resident_memory_bytes",
                    "Memory in use, in bytes, files that are mapped and read among it.",
                    memory.resident * page))
        }
        if let files = openFiles() {
            families.append(gauge("process_open_fds", "Open file descriptors.", Double(files)))
        }
        let limit = sysconf(Int32(_SC_OPEN_MAX))
        if limit > 0 {
            families.append(
                gauge("process_max_fds", "File descriptors that may be open.", Double(limit)))
        }
        return families
    }

    private static func gauge(_ name: String, _ help: String, _ value: Double) -> MetricFamily {
        MetricFamily(name, help, kind: .gauge, samples: [.init([], value)])
    }

    /// The system's figure if it reports one, else the time of the first call.
    private static let startTime: Double = systemStartTime() ?? Date().timeIntervalSince1970

    /// Boot time plus the clock ticks until the process began; `proc(5)`, field 22 of `stat`.
    private static func systemStartTime() -> Double? {
        guard let stat = file("/proc/self/stat"), let system = file("/proc/stat"),
            let boot = system.firstMatch(of: /(?:^|\n)btime (\d+)/).flatMap({ Double($0.1) }),
            // The program's name, in parentheses, may have spaces.
            let end = stat.lastIndex(of: ")")
        else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let ticks = Double(fields[19]) else { return nil }
        return boot + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Pages of the address space, and of those the ones in memory.
    private static func memoryPages() -> (virtual: Double, resident: Double)? {
        guard let fields = file("/proc/self/statm")?.split(separator: " "), fields.count > 1,
            let virtual = Double(fields[0]), let resident = Double(fields[1])
        else { return nil }
        return (virtual, resident)
    }

    /// Descriptors that are open, without the one that counts them.
    private static func openFiles() -> Int? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // `.`, `..` and the folder itself.
        return count - 3
    }

    /// A file of `/proc`, whose length the system does not report in advance.
    private static func file(_ path: String) -> String? {
        guard let file = FileHandle(forReadingAtPath: path) else { return nil }
        defer { try? file.close() }
        guard let data = try? file.readToEnd() else { return nil }
        return String(data: data, encoding: .utf8)
    }
}
