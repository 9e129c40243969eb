// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import LoadTesting

/// `imgbench mock`: a server whose figures are known.
struct MockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mock",
        abstract: "Serve the dialects with fixed times, and with faults if wanted.")

    @Option(help: ArgumentHelp("Port on 127.0.0.1; 0 lets the system choose.", valueName: "port"))
    var port = 9996

    @Option(
        help: ArgumentHelp("Time of an image on a free device.", valueName: "time"),
        transform: RunOptions.duration)
    var latency = 0.1

    @Option(help: ArgumentHelp("Identical devices.", valueName: "count"))
    var devices = 1

    @Option(help: ArgumentHelp("Images that a device works on at once.", valueName: "count"))
    var batch = 1

    @Option(
        help: ArgumentHelp(
            "A batch of b takes latency times 1 + cost (b - 1).", valueName: "cost"))
    var batchCost = 0.25

    @Option(help: ArgumentHelp("Most requests that wait; more get 429.", valueName: "count"))
    var queueLimit = 10_000

    @Option(help: ArgumentHelp("File that gets a line for every request.", valueName: "file"))
    var accessLog: String?

    @Option(
        help: "A deliberate fault; may be given several times.",
        completion: .list(MockFault.allCases.map(\.rawValue)))
    var fault: [MockFault] = []

    @Flag(help: "Say in the metrics that there is a cache of prompts.")
    var declareCache = false

    mutating func validate() throws {
        guard devices >= 1, batch >= 1, batchCost >= 0, latency > 0 else {
            throw ValidationError(
                "--devices and --batch must be at least 1, --batch-cost at least 0, --latency above 0."
            )
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
        let server: MockServer
        do {
            server = try await MockServer(settings)
        } catch {
            Perform.tell("the mock server cannot start: \(error)")
            throw ExitStatus.couldNotRun
        }
        print("\(server.url)  at most \(settings.capacity) images a second")
        try await server.wait()
    }
}

extension MockFault: ExpressibleByArgument {}
