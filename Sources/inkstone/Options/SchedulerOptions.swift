// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine

/// How much `serve` takes on at once.
struct SchedulerOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Requests that share the model step by step.", valueName: "count"))
    var running = SchedulerLimits().running

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Requests that may wait for a place; more are told to come back.", valueName: "count"))
    var waiting = SchedulerLimits().waiting

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens of one pass: more make more pictures a second, fewer make each step come sooner.",
            valueName: "count"))
    var passTokens = SchedulerLimits().passTokens

    mutating func validate() throws {
        for (name, value, least) in [
            ("--running", running, 1), ("--waiting", waiting, 0), ("--pass-tokens", passTokens, 1),
        ] where value < least || value > 1_000_000 {
            throw ValidationError("\(name) must be between \(least) and 1000000, got \(value).")
        }
    }

    var limits: SchedulerLimits {
        SchedulerLimits(running: running, waiting: waiting, passTokens: passTokens)
    }
}
