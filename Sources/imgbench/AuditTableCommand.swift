// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// `imgbench audit-table`: the checks that need only a published table.
struct AuditTableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit-table",
        abstract: "Check whether a published table is plausible.",
        discussion: """
            The table must have columns for users, throughput and latency, with titles in English or \
            Chinese and the units in titles or cells. Claims in the text around the table are read too: \
            throughputs, limits, a deviation, the hold of a level. Exits with status 4 when a check fails.
            """)

    @Argument(
        help: "Page with a table in Markdown, HTML, CSV, JSON or plain text; - for standard input.")
    var table: String

    @Option(
        help: ArgumentHelp(
            "Device: \(DevicePeaks.all.map(\.name).joined(separator: ", ")). Default: H100-SXM and RTX-4090.",
            valueName: "name"))
    var device: String?

    @Option(
        help: ArgumentHelp(
            "Peaks of the device instead of --device: the output of 'inkstone benchmark kernels --json', in the"
                + " precision that the table is of.", valueName: "file"))
    var peaks: String?

    @Option(help: ArgumentHelp("Number of devices.", valueName: "n"))
    var devices = 1

    @Option(
        help: ArgumentHelp(
            "Size of the images. Default: 1024x1024 and 512x512.", valueName: "WxH"))
    var size: String?

    @Option(
        help: ArgumentHelp(
            "Steps of an image. Default: those of the text around the table, or 8.", valueName: "n")
    )
    var steps: Int?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            """
            Meaning of a column, for instance 'latency=mean-latency:ms'; can be repeated. Meanings: \
            \(ColumnMeaning.allCases.map(\.rawValue).joined(separator: ", ")).
            """, valueName: "title=meaning"))
    var column: [String] = []

    @Option(
        help: ArgumentHelp("Hold of a level, for instance 2m.", valueName: "time"),
        transform: RunOptions.duration)
    var hold: Double?

    @Option(help: ArgumentHelp("Capacity of the link in megabytes a second.", valueName: "MB/s"))
    var link: Double?

    @Flag(help: "Print JSON instead of text.")
    var json = false

    func validate() throws {
        if let device, DevicePeaks.named(device) == nil {
            throw ValidationError(
                "--device must be one of \(DevicePeaks.all.map(\.name).joined(separator: ", ")), got \(device)."
            )
        }
        if let peaks {
            guard device == nil else {
                throw ValidationError("--device and --peaks exclude each other; give one of them.")
            }
            _ = try PeaksFile.device(peaks)
        }
        guard (1...100_000).contains(devices) else {
            throw ValidationError("--devices must be in 1...100000, got \(devices).")
        }
        if let steps, !(1...1000).contains(steps) {
            throw ValidationError("--steps must be in 1...1000, got \(steps).")
        }
        for (name, value) in [("--hold", hold), ("--link", link)] {
            if let value, !(value > 0 && value.isFinite) {
                throw ValidationError("\(name) must be above 0, got \(value).")
            }
        }
        _ = try pixels()
        _ = try choices()
    }

    /// The meanings of columns that were given.
    private func choices() throws -> [ColumnChoice] {
        do {
            return try column.map { try ColumnChoice($0) }
        } catch let error as ResultError {
            throw ValidationError("--column: \(error.description)")
        }
    }

    /// Reads the file, or standard input.
    private func page() throws -> PublishedTable {
        let choices = try choices()
        return try Reading.orExit {
            guard table == "-" else {
                return try PublishedTable(
                    contentsOf: URL(filePath: table), columns: choices, steps: steps)
            }
            let data = FileHandle.standardInput.readDataToEndOfFile()
            return try PublishedTable(
                text: String(decoding: data, as: UTF8.self), columns: choices, steps: steps)
        }
    }

    /// The size of the images in pixels, if it was given.
    private func pixels() throws -> (width: Int, height: Int)? {
        guard let size else { return nil }
        guard let pixels = ScenarioUnits.size(size.lowercased()),
            pixels.width.isMultiple(of: 16), pixels.height.isMultiple(of: 16)
        else {
            throw ValidationError(
                "--size must be two multiples of 16 such as 1024x1024, got \(size).")
        }
        return (pixels.width, pixels.height)
    }

    func run() throws {
        let published = try page()
        var audit = TableAudit(published)
        audit.device = try peaks.map(PeaksFile.device) ?? device.flatMap(DevicePeaks.named)
        audit.devices = devices
        audit.size = try pixels()
        audit.steps = steps ?? published.steps ?? audit.steps
        audit.hold = hold ?? audit.hold
        audit.linkBytesPerSecond = link.map { $0 * 1e6 }
        let report = audit.report(
            subject: table == "-" ? "standard input" : URL(filePath: table).lastPathComponent)
        print(json ? try Reading.json(report) : report.text(), terminator: "")
        guard report.hasPassed else { throw ExitStatus.auditFailed }
    }
}
