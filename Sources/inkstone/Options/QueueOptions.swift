// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Fleet
import Service

/// Where the queue of a fleet is, for `serve` and `worker`.
struct QueueOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "NATS server whose JetStream keeps the jobs of a fleet, such as nats://localhost:4222.",
            valueName: "address"))
    var queue: String?

    @Option(help: ArgumentHelp("Credentials for NATS: a .creds file.", valueName: "file"))
    var queueCredentials: String?

    @Option(
        help: ArgumentHelp("Authorities that NATS's certificate is checked by.", valueName: "file"))
    var queueCa: String?

    @Option(help: ArgumentHelp("Certificate to show to NATS.", valueName: "file"))
    var queueCertificate: String?

    @Option(help: ArgumentHelp("Key of this certificate.", valueName: "file"))
    var queueKey: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Replicas of each job and image in a NATS cluster, set by the first program to connect.",
            valueName: "count"))
    var queueReplicas = 1

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Time without a heartbeat after which a job goes to another worker.",
            valueName: "seconds"))
    var queueWindow = FleetSettings().window

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Attempts at a job before it is given up.", valueName: "count"))
    var queueAttempts = FleetSettings().attempts

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Unfinished jobs of the whole fleet; more are rejected with Retry-After.",
            valueName: "count"))
    var queueLimit = FleetSettings().unfinished

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Jobs of a fleet that each worker runs concurrently.", valueName: "count"))
    var jobs = FleetSettings().running

    mutating func validate() throws {
        guard (1...1000).contains(jobs) else {
            throw ValidationError("--jobs must be between 1 and 1000, got \(jobs).")
        }
        guard let queue else {
            for (name, value) in [
                ("--queue-credentials", queueCredentials), ("--queue-ca", queueCa),
                ("--queue-certificate", queueCertificate), ("--queue-key", queueKey),
            ] where value != nil {
                throw ValidationError(
                    "\(name) goes with --queue, which is not given; name the NATS server.")
            }
            return
        }
        #if !Fleet
            throw ValidationError(
                "--queue \(queue) needs a program with the fleet, and this one was built without it;"
                    + " take that of the packages, or build one with 'make build-fleet'.")
        #else
            do { _ = try NATSAddress(queue) } catch { throw ValidationError(error.description) }
            guard (queueCertificate == nil) == (queueKey == nil) else {
                throw ValidationError(
                    "--queue-certificate and --queue-key go together; give both or none.")
            }
            for (name, value, range) in [
                ("--queue-replicas", Double(queueReplicas), 1.0...5.0),
                ("--queue-window", queueWindow, 1...3600),
                ("--queue-attempts", Double(queueAttempts), 1...1000),
                ("--queue-limit", Double(queueLimit), 1...1_000_000),
            ] where !range.contains(value) {
                throw ValidationError(
                    "\(name) must be between \(range.lowerBound) and \(range.upperBound), got"
                        + " \(value).")
            }
        #endif
    }

    /// Settings of these options.
    var settings: FleetSettings {
        var settings = FleetSettings()
        settings.window = queueWindow
        settings.attempts = queueAttempts
        settings.unfinished = queueLimit
        settings.replicas = queueReplicas
        settings.running = jobs
        return settings
    }
}
