// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import LoadTesting

/// `imgbench mock`: a mock server with known figures.
struct MockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mock",
        abstract: "Run a mock server with fixed service times, and optionally with faults.")

    @Option(help: ArgumentHelp("Port on 127.0.0.1; 0 lets the system choose.", valueName: "port"))
    var port = 9996

    @Option(
        help: ArgumentHelp(
            "Service time of an image on an idle device. Default: 100ms.", valueName: "time"),
        transform: RunOptions.duration)
    var latency = 0.1

    @Option(help: ArgumentHelp("Number of identical devices.", valueName: "count"))
    var devices = 1

    @Option(help: ArgumentHelp("Maximum number of images in a batch.", valueName: "count"))
    var batch = 1

    @Option(
        help: ArgumentHelp(
            "A batch of b takes latency times 1 + cost (b - 1).", valueName: "cost"))
    var batchCost = 0.25

    @Option(
        help: ArgumentHelp(
            "Maximum number of waiting requests; further ones get 429.", valueName: "count"))
    var queueLimit = 10_000

    @Option(help: ArgumentHelp("Access log to write.", valueName: "file"))
    var accessLog: String?

    @Option(
        help: ArgumentHelp("A deliberate fault; may be repeated.", valueName: "fault"),
        completion: .list(MockFault.allCases.map(\.rawValue)))
    var fault: [MockFault] = []

    @Option(help: "The only interface to speak, in its documented form. Default: all.")
    var dialect: Dialect?

    @Flag(help: "Declare a prompt cache in the metrics.")
    var declareCache = false

    mutating func validate() throws {
        for (name, value) in [("--devices", devices), ("--batch", batch)] where value < 1 {
            throw ValidationError("\(name) must be at least 1, got \(value).")
        }
        guard batchCost >= 0, batchCost.isFinite else {
            throw ValidationError("--batch-cost must be at least 0, got \(batchCost).")
        }
        guard latency > 0 else { throw ValidationError("--latency must be above 0.") }
        guard (0...65_535).contains(port) else {
            throw ValidationError("--port must be in 0...65535, got \(port).")
        }
        guard queueLimit >= 0 else {
            throw ValidationError("--queue-limit must be at least 0, got \(queueLimit).")
        }
    }

    func run() async throws {
        var settings = MockSettings()
        settings.port = port
        settings.serviceTime = latency
        settings.devices = devices
        settings.batch = batch
        settings.batchCost = batchCost
        settings.queueLimit = queueLimit
        settings.accessLog = accessLog
        settings.faults = Set(fault)
        settings.declaresCache = declareCache
        settings.dialect = dialect
        let server: MockServer
        do {
            server = try await MockServer(settings)
        } catch {
            Perform.printError("\(error)")
            throw ExitStatus.couldNotRun
        }
        print("\(server.url)  at most \(settings.capacity) images a second")
        try await server.wait()
    }
}
