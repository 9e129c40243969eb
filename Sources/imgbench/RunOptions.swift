// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// Options of `run` and `sweep`.
struct RunOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Base URL of the server.", valueName: "url"))
    var target: String?

    @Option(
        help: ArgumentHelp("Folder in which the result folder is created.", valueName: "folder"))
    var out = "runs"

    @Option(
        help: ArgumentHelp("Seed of prompts, sizes, image seeds and arrivals.", valueName: "number")
    )
    var seed: UInt64?

    @Option(
        name: .customLong("repeat"),
        help: ArgumentHelp("Number of visits of each level.", valueName: "count"))
    var repeats: Int?

    @Option(help: "Order of the levels.")
    var order: Scenario.Order?

    @Option(
        help: ArgumentHelp("Measured time of each level, for instance 2m.", valueName: "time"),
        transform: Self.duration)
    var hold: Double?

    @Option(
        help: ArgumentHelp(
            "Maximum measured time; the hold is extended to 200 images.",
            valueName: "time"),
        transform: Self.duration)
    var maxHold: Double?

    @Option(
        help: ArgumentHelp("Minimum time before a level is measured.", valueName: "time"),
        transform: Self.duration)
    var settle: Double?

    @Option(
        help: ArgumentHelp("Pause between levels.", valueName: "time"), transform: Self.duration)
    var cooldown: Double?

    @Option(help: ArgumentHelp("Access log of the server, on this machine.", valueName: "file"))
    var accessLog: String?

    @Option(help: ArgumentHelp("Path or URL of the metrics.", valueName: "path"))
    var metrics: String?

    @Option(
        help: ArgumentHelp(
            "Process of the server: auto, none, a process id, or port:9997.", valueName: "process"))
    var process: String?

    @Option(
        help: ArgumentHelp(
            "Device of the server: measured, H100-SXM, RTX-4090, ...", valueName: "name"))
    var device: String?

    @Option(help: ArgumentHelp("Number of identical devices.", valueName: "count"))
    var devices: Int?

    @Option(
        help: ArgumentHelp(
            "Peak operations a second of a device, for instance 236GFLOP/s; imgbench peak measures"
                + " them.", valueName: "rate"),
        transform: { text in
            guard let rate = ScenarioUnits.operations(text) else {
                throw ValidationError("Expected a rate such as 236GFLOP/s, got '\(text)'.")
            }
            return rate
        })
    var peak: Double?

    @Option(
        help: ArgumentHelp(
            "Memory bandwidth of a device, for instance 10.5GB/s.", valueName: "rate"),
        transform: { text in
            guard let rate = ScenarioUnits.bandwidth(text) else {
                throw ValidationError("Expected a rate such as 10.5GB/s, got '\(text)'.")
            }
            return rate
        })
    var bandwidth: Double?

    @Option(
        help: ArgumentHelp(
            "Name, peak operations and bandwidth of a device from the output of 'inkstone benchmark kernels"
                + " --json'; --device, --peak and --bandwidth take precedence.", valueName: "file"))
    var peaks: String?

    @Flag(help: "Do not send the audit's own requests.")
    var noProbes = false

    static func duration(_ text: String) throws -> Double {
        guard let seconds = ScenarioUnits.duration(text) else {
            throw ValidationError(
                "Expected a time with its unit, for instance 30s or 2m, got '\(text)'.")
        }
        return seconds
    }

    mutating func validate() throws {
        if let target, !Scenario.Target.isAddress(target) {
            throw ValidationError(
                "--target must begin with http:// or https://, got '\(target)'.")
        }
        if let repeats, repeats < 1 {
            throw ValidationError("--repeat must be at least 1, got \(repeats).")
        }
        if let devices, devices < 1 {
            throw ValidationError("--devices must be at least 1, got \(devices).")
        }
        if let process { _ = try Self.process(process) }
        if let peaks { _ = try PeaksFile.read(peaks) }
    }

    /// Overrides the scenario with the options given.
    func apply(to scenario: inout Scenario) throws {
        if let target { scenario.target.url = target }
        if let seed { scenario.seed = seed }
        if let repeats { scenario.repeats = repeats }
        if let order { scenario.order = order }
        if let hold {
            scenario.hold = hold
            scenario.maximumHold = max(hold, scenario.maximumHold)
        }
        if let maxHold { scenario.maximumHold = max(scenario.hold, maxHold) }
        if let settle {
            scenario.settle.minimum = settle
            scenario.settle.maximum = max(settle, scenario.settle.maximum)
        }
        if let cooldown { scenario.cooldown = cooldown }
        if let accessLog { scenario.target.accessLog = accessLog }
        if let metrics { scenario.target.metrics = metrics }
        if let process { scenario.target.process = try Self.process(process) }
        if let peaks {
            let measured = try PeaksFile.read(peaks)
            scenario.device.name = measured.name ?? "measured"
            scenario.device.operations = measured.operations
            scenario.device.bandwidth = measured.bandwidth
        }
        if let device { scenario.device.name = device }
        if let devices { scenario.device.count = devices }
        if let peak { scenario.device.operations = peak }
        if let bandwidth { scenario.device.bandwidth = bandwidth }
        if noProbes { scenario.probes = false }
    }

    private static func process(_ text: String) throws -> Scenario.ProcessChoice {
        guard let choice = Scenario.ProcessChoice(text: text) else {
            throw ValidationError(
                "--process must be auto, none, a process id or port:9997, got '\(text)'.")
        }
        return choice
    }
}
