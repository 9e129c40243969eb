// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import LoadTesting

/// `imgbench run`: the levels of a scenario file.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a scenario and audit it.")

    @Argument(help: "Scenario file.")
    var scenario: String

    @OptionGroup var options: RunOptions

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Run only these levels, for instance closed-008,closed-016.", valueName: "levels"))
    var only: [String] = []

    func run() async throws {
        var (scenario, text) = try Perform.scenario(scenario)
        try options.apply(to: &scenario)
        var plan = try Perform.plan(scenario, beside: self.scenario)
        let names = only.flatMap { $0.split(separator: ",").map(String.init) }
        if !names.isEmpty {
            let known = Set(plan.visits.map(\.visit.level))
            if let unknown = names.first(where: { !known.contains($0) }) {
                throw ValidationError(
                    "The scenario has no level '\(unknown)'; expected one of"
                        + " \(known.sorted().joined(separator: ", ")).")
            }
            plan.visits.removeAll { !names.contains($0.visit.level) }
        }
        try await Perform.run(plan, scenarioText: text, out: options.out)
    }
}
