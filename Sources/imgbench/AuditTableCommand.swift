// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// `imgbench audit-table`: the checks that need only a published table.
struct AuditTableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit-table",
        abstract: "Check whether somebody's published table can be true.",
        discussion: """
            Needs columns for users, throughput and mean latency, whose titles name a unit (ms or \
            s). What is claimed around the table is read too: a throughput, a deviation, how long \
            a level was held. Ends with 4 when a check fails.
            """)

    @Argument(help: "Table in Markdown, CSV or JSON.")
    var table: String

    @Option(
        help: ArgumentHelp(
            "Device: \(DevicePeaks.all.map(\.name).joined(separator: ", ")). H100-SXM and RTX-4090 if not given.",
            valueName: "name"))
    var device: String?

    @Option(help: ArgumentHelp("How many of them.", valueName: "n"))
    var devices = 1

    @Option(
        help: ArgumentHelp(
            "Size of the images; 1024x1024 and 512x512 if not given.", valueName: "WxH"))
    var size: String?

    @Option(help: ArgumentHelp("Evaluations of an image.", valueName: "n"))
    var steps = 8

    @Option(
        help: ArgumentHelp("How long a level was held, for instance 2m.", valueName: "time"),
        transform: RunOptions.duration)
    var hold: Double?

    @Option(help: ArgumentHelp("Megabytes a second of the link.", valueName: "MB/s"))
    var link: Double?

    @Flag(help: "Print JSON instead of text.")
    var json = false

    func validate() throws {
        if let device, DevicePeaks.named(device) == nil {
            throw ValidationError(
                "--device is \(device), expected one of \(DevicePeaks.all.map(\.name).joined(separator: ", "))."
            )
        }
        guard (1...100_000).contains(devices) else {
            throw ValidationError("--devices must be in 1...100000, got \(devices).")
        }
        guard (1...1000).contains(steps) else {
            throw ValidationError("--steps must be in 1...1000, got \(steps).")
        }
        for (name, value) in [("--hold", hold), ("--link", link)] {
            if let value, !(value > 0 && value.isFinite) {
                throw ValidationError("\(name) must be above 0, got \(value).")
            }
        }
        _ = try sides()
    }

    private func sides() throws -> (width: Int, height: Int)? {
        guard let size else { return nil }
        let sides = size.lowercased().split(separator: "x").compactMap { Int($0) }
        guard sides.count == 2,
            sides.allSatisfy({ (16...16_384).contains($0) && $0.isMultiple(of: 16) })
        else {
            throw ValidationError(
                "--size must be two multiples of 16 such as 1024x1024, got \(size).")
        }
        return (sides[0], sides[1])
    }

    func run() throws {
        var audit = TableAudit(
            try Reading.orEnd { try PublishedTable(contentsOf: URL(filePath: table)) })
        audit.device = device.flatMap(DevicePeaks.named)
        audit.devices = devices
        audit.size = try sides()
        audit.steps = steps
        audit.hold = hold ?? audit.hold
        audit.linkBytesPerSecond = link.map { $0 * 1e6 }
        let report = audit.report(subject: URL(filePath: table).lastPathComponent)
        print(json ? try Reading.json(report) : report.text(), terminator: "")
        guard report.hasPassed else { throw ExitStatus.auditFailed }
    }
}
