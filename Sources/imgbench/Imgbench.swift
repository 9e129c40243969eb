// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser

/// The command line of the load tester.
@main
struct Imgbench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "imgbench",
        abstract: "Measure image servers under load, and audit the figures.",
        subcommands: [
            RunCommand.self, SweepCommand.self, PlanCommand.self, AuditCommand.self,
            AuditTableCommand.self, ReportCommand.self, CompareCommand.self, KneeCommand.self,
            QualityCommand.self, MergeCommand.self, PeakCommand.self, MockCommand.self,
        ]
    )
}
