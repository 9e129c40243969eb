// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser

@main
struct Imgbench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "imgbench",
        abstract: "Measures image servers under load, and says whether the figures can be true.",
        subcommands: [
            RunCommand.self, SweepCommand.self, PlanCommand.self, AuditCommand.self,
            AuditTableCommand.self, ReportCommand.self, CompareCommand.self, KneeCommand.self,
            QualityCommand.self, PeakCommand.self, MockCommand.self,
        ]
    )
}
