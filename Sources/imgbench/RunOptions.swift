// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// What `run` and `sweep` share.
struct RunOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Address of the server.", valueName: "url"))
    var target: String?

    @Option(help: ArgumentHelp("Folder in which the result folder is made.", valueName: "folder"))
    var out = "runs"

    @Option(help: ArgumentHelp("Seed of prompts, sizes, seeds and arrivals.", valueName: "number"))
    var seed: UInt64?

    @Option(
        name: .customLong("repeat"),
        help: ArgumentHelp("Visits of each level.", valueName: "count"))
    var repeats: Int?

    @Option(help: "Order of the levels: ascending, shuffled or updown.")
    var order: Scenario.Order?

    @Option(
        help: ArgumentHelp("Measured time of each level, for instance 2m.", valueName: "time"),
        transform: Self.duration)
    var hold: Double?

    @Option(
        help: ArgumentHelp(
            "Longest measured time; the hold is made longer where 200 images need it.",
            valueName: "time"),
        transform: Self.duration)
    var maxHold: Double?

    @Option(
        help: ArgumentHelp("Shortest time of settling.", valueName: "time"),
        transform: Self.duration)
    var settle: Double?

    @Option(
        help: ArgumentHelp("Pause between levels.", valueName: "time"), transform: Self.duration)
    var cooldown: Double?

    @Option(help: ArgumentHelp("File that the server logs requests to.", valueName: "file"))
    var accessLog: String?

    @Option(help: ArgumentHelp("Path or address of the metrics.", valueName: "path"))
    var metrics: String?

    @Option(
        help: ArgumentHelp(
            "The server's process: auto, none, a process id, or port:9997.", valueName: "process"))
    var process: String?

    @Option(
        help: ArgumentHelp(
            "The device that draws: measured, H100-SXM, RTX-4090, ...", valueName: "name"))
    var device: String?

    @Option(help: ArgumentHelp("Identical devices.", valueName: "count"))
    var devices: Int?

    @Option(
        help: ArgumentHelp(
            "Most operations a second of a device, for instance 236GFLOP/s; imgbench peak measures"
                + " this machine's.", valueName: "rate"),
        transform: { text in
            guard let rate = ScenarioUnits.operations(text) else {
                throw ValidationError("Give a rate such as 236GFLOP/s, not '\(text)'.")
            }
            return rate
        })
    var peak: Double?

    @Option(
        help: ArgumentHelp(
            "Bytes a second of a device's memory, for instance 10.5GB/s.", valueName: "rate"),
        transform: { text in
            guard let rate = ScenarioUnits.bandwidth(text) else {
                throw ValidationError("Give a rate such as 10.5GB/s, not '\(text)'.")
            }
            return rate
        })
    var bandwidth: Double?

    @Flag(help: "Leave out the audit's own requests.")
    var noProbes = false

    static func duration(_ text: String) throws -> Double {
        guard let seconds = ScenarioUnits.duration(text) else {
            throw ValidationError(
                "Give a time with its unit, for instance 30s or 2m, not '\(text)'.")
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
    }

    /// What was given takes the place of what the scenario says.
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
        if let device { scenario.device.name = device }
        if let devices { scenario.device.count = devices }
        if let peak { scenario.device.operations = peak }
        if let bandwidth { scenario.device.bandwidth = bandwidth }
        if noProbes { scenario.probes = false }
    }

    private static func process(_ text: String) throws -> Scenario.ProcessChoice {
        switch text {
        case "auto": return .automatic
        case "none": return .none
        default:
            if text.hasPrefix("port:"), let port = Int(text.dropFirst(5)) { return .port(port) }
            guard let id = Int(text) else {
                throw ValidationError(
                    "--process must be auto, none, a process id or port:9997, got '\(text)'.")
            }
            return .id(id)
        }
    }
}

extension Scenario.Order: ExpressibleByArgument {}
