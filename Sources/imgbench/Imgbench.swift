// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser

@main
struct Imgbench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "imgbench",
        abstract: "Measures image servers under load, and says whether the figures can be true.",
        subcommands: [
            RunCommand.self, SweepCommand.self, PlanCommand.self, MockCommand.self,
            PeakCommand.self,
        ]
    )
}
