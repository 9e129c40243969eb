// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Service

/// How `serve` runs the worker processes of its models.
struct WorkerOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Worker processes per model; requests of a crashed one are run again.",
            valueName: "count"))
    var workers = 1

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Memory limit of all models on the processor together.", valueName: "GB")
    )
    var memoryBudget: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Unload a model without requests for this time; the next request loads it again.",
            valueName: "seconds"))
    var idleUnload: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Replace a worker that has requests and sends no heartbeat for this time.",
            valueName: "seconds"))
    var hangTimeout = 300.0

    mutating func validate() throws {
        guard (1...64).contains(workers) else {
            throw ValidationError("--workers must be between 1 and 64, got \(workers).")
        }
        for (name, value, least) in [
            ("--memory-budget", memoryBudget, 0.001), ("--idle-unload", idleUnload, 0.001),
            ("--hang-timeout", hangTimeout, 1),
        ] {
            guard let value, !(least...1_000_000).contains(value) else { continue }
            throw ValidationError("\(name) must be between \(least) and 1000000, got \(value).")
        }
    }

    /// Settings of a pool that runs `models` models, each with a number of workers.
    func settings(models: Int, workers: Int) -> WorkerSettings {
        var settings = WorkerSettings()
        settings.expectedWorkers = models * workers
        settings.memoryBudget = memoryBudget.map { Int($0 * 1e9) }
        settings.idleUnload = idleUnload.map { .seconds($0) }
        settings.hangTimeout = .seconds(hangTimeout)
        return settings
    }
}
