// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
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

    @Option(
        help: ArgumentHelp(
            "Send only a part of the plan, for instance 1/2 here and 2/2 on another machine.",
            valueName: "number/count"))
    var part: String?

    @Option(
        help: ArgumentHelp(
            "When all parts begin, for instance 2026-01-01T10:15:00Z; the same for each.",
            valueName: "time"))
    var start: String?

    mutating func validate() throws {
        guard (part == nil) == (start == nil) else {
            throw ValidationError("--part and --start need each other.")
        }
        _ = try moment()
        if let part, PlanPart(part) == nil {
            throw ValidationError("--part must be a number and a count such as 1/2, got '\(part)'.")
        }
    }

    /// The time of `--start`.
    private func moment() throws -> Date? {
        guard let start else { return nil }
        guard let date = try? Date(start, strategy: .iso8601) else {
            throw ValidationError(
                "--start must be a time such as 2026-01-01T10:15:00Z, got '\(start)'.")
        }
        return date
    }

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
        if let part = part.flatMap({ PlanPart($0) }), let start = try moment() {
            guard start.timeIntervalSinceNow > 0 else {
                throw ValidationError("--start is in the past; choose a time that all parts reach.")
            }
            do {
                plan = try plan.part(part, start: start)
            } catch {
                Perform.printError(error.description)
                throw ExitStatus.couldNotRun
            }
        }
        try await Perform.run(plan, scenarioText: text, out: options.out)
    }
}
