// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// `imgbench report`: writes the report of a run again, without measuring.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Write the report and the tables of a run again from its records.")

    @Argument(help: ArgumentHelp("Result folder of a run.", valueName: "run"))
    var folder: String

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Files to write, separated by commas. Default: all.",
            valueName: RunReporter.Format.allCases.map(\.rawValue).joined(separator: ",")))
    var format: String?

    private func formats() throws -> Set<RunReporter.Format> {
        let all = RunReporter.Format.allCases.map(\.rawValue)
        guard let format else { return Set(RunReporter.Format.allCases) }
        return Set(
            try format.split(separator: ",").map { word in
                guard let format = RunReporter.Format(rawValue: String(word)) else {
                    throw ValidationError(
                        "--format must be of \(all.joined(separator: ", ")), got \(word).")
                }
                return format
            })
    }

    func validate() throws { _ = try formats() }

    func run() throws {
        let reporter = try Reading.reporter(folder)
        try Reading.orExit { try reporter.write(try formats()) }
        print(reporter.markdown, terminator: "")
        if try formats().contains(.html) { print("\n\(reporter.folder.reportFile.path)") }
    }
}
