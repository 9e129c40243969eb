// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine

/// Limits of the scheduler of each worker.
struct SchedulerOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Requests that run concurrently, step by step.", valueName: "count"))
    var running = SchedulerLimits().running

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Requests that may wait; more are rejected with Retry-After.", valueName: "count"))
    var waiting = SchedulerLimits().waiting

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens per pass: more increase throughput, fewer reduce the latency of each step.",
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
