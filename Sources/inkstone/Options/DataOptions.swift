// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import Service

/// Where `serve` stores jobs, and for how long.
struct DataOptions: ParsableArguments {
    /// Environment variable of the default data folder.
    private static let variable = "INKSTONE_DATA"

    @Option(
        help: ArgumentHelp(
            "Folder of jobs and their images; INKSTONE_DATA or ~/.local/share/inkstone/data if not"
                + " given.", valueName: "folder"))
    var data: String?

    @Option(
        help: ArgumentHelp(
            "Folder of imgbench's result folders, which the page shows; 'benchmarks' in the data"
                + " folder if not given.", valueName: "folder"))
    var benchmarks: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Days for which finished jobs are kept.", valueName: "days"))
    var keepDays = 7.0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Gigabytes of images that are kept; the oldest jobs are deleted first.", valueName: "GB"
        ))
    var keepGB = 4.0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Cancel a request that is not finished after this time; clients may request less.",
            valueName: "seconds"))
    var deadline: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Hours for which the links of images open without the header of a key.",
            valueName: "hours"))
    var linkHours = 24.0

    /// Seconds for which links open.
    var linkSeconds: Int { Int(linkHours * 3600) }

    mutating func validate() throws {
        guard (0.001...100_000).contains(linkHours) else {
            throw ValidationError(
                "--link-hours must be between 0.001 and 100000, got \(linkHours).")
        }
        if let deadline, !(0.001...1_000_000).contains(deadline) {
            throw ValidationError("--deadline must be between 0.001 and 1000000, got \(deadline).")
        }
        for (name, value) in [("--keep-days", keepDays), ("--keep-gb", keepGB)] {
            guard value >= 0, value <= 1_000_000 else {
                throw ValidationError("\(name) must be between 0 and 1000000, got \(value).")
            }
        }
    }

    /// The folder of the options, the environment, or the default.
    var folder: URL { Self.folder(data) }

    /// Folder of LoRA files that requests may name.
    var loraFolder: URL { folder.appending(path: "loras") }

    /// Folder of ControlNets that requests may name.
    var controlNetFolder: URL { folder.appending(path: "controlnets") }

    /// Folder of load test results.
    var benchmarkFolder: URL {
        benchmarks.map { URL(filePath: $0) } ?? folder.appending(path: "benchmarks")
    }

    static func folder(_ data: String?) -> URL {
        let environment = ProcessInfo.processInfo.environment
        if let data { return URL(filePath: data) }
        if let path = environment[variable], !path.isEmpty { return URL(filePath: path) }
        func named(_ variable: String) -> URL? {
            environment[variable].flatMap { $0.isEmpty ? nil : URL(filePath: $0) }
        }
        let home = named("HOME") ?? FileManager.default.homeDirectoryForCurrentUser
        let share = named("XDG_DATA_HOME") ?? home.appending(path: ".local/share")
        return share.appending(path: "inkstone/data")
    }

    /// Limits of the job service; at most `capacity` unfinished jobs.
    func limits(capacity: Int) -> JobService.Limits {
        JobService.Limits(
            running: capacity, unfinished: capacity, age: keepDays * 86400,
            imageBytes: Int(keepGB * 1e9), seconds: deadline)
    }
}
