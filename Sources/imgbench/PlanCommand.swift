// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// `imgbench plan`: the requests of a run.
struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Write the requests that a scenario would send, without sending them.")

    @Argument(help: "Scenario file.")
    var scenario: String

    @Option(
        help: ArgumentHelp("File to write as JSON lines; - is standard output.", valueName: "file"))
    var out = "-"

    @Option(help: ArgumentHelp("Seed of prompts, sizes, seeds and arrivals.", valueName: "number"))
    var seed: UInt64?

    func run() throws {
        var (scenario, _) = try Perform.scenario(scenario)
        if let seed { scenario.seed = seed }
        let data = try PlanFile.lines(try Perform.plan(scenario, beside: self.scenario).requests())
        if out == "-" {
            FileHandle.standardOutput.write(data)
        } else {
            try Reading.orExit { try ResultFolder.write(data, to: URL(filePath: out)) }
        }
    }
}
