// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

extension RunReporter.Format: ExpressibleByArgument {}

/// `imgbench report`: writes a run's report anew, without measuring anything.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write a run's page and tables anew from its records.")

    @Argument(help: ArgumentHelp("Result folder of a run.", valueName: "run"))
    var folder: String

    @Option(
        name: .long,
        help: ArgumentHelp(
            "What to write, with commas between; all if not given.", valueName: "html,md,csv,json"))
    var format: String?

    private func formats() throws -> Set<RunReporter.Format> {
        guard let format else { return Set(RunReporter.Format.allCases) }
        return Set(
            try format.split(separator: ",").map { word in
                guard let format = RunReporter.Format(rawValue: String(word)) else {
                    throw ValidationError("--format is \(word), expected html, md, csv or json.")
                }
                return format
            })
    }

    func validate() throws { _ = try formats() }

    func run() throws {
        let reporter = try Reading.reporter(folder)
        try Reading.orEnd { try reporter.write(try formats()) }
        print(reporter.markdown, terminator: "")
        if try formats().contains(.html) { print("\n\(reporter.folder.reportFile.path)") }
    }
}
