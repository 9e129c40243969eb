// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Catalog
import Dispatch
import Engine
import Foundation
import Logging
import ModelFiles
import Service
import Tensors
import ZImage

/// `inkstone worker`: runs one model in a separate process for `serve`; or, with `--queue`, for a fleet.
///
/// A worker started by `serve` exits when its standard input closes, which is when that process ends.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Run a model for the process that started this one, or for a fleet.",
        shouldDisplay: false)

    @Option(help: ArgumentHelp("Unix socket to listen on.", valueName: "path"))
    var socket: String?

    @OptionGroup var queueOptions: QueueOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "What jobs of a fleet may still take when this worker is asked to end.",
            valueName: "seconds"))
    var grace = 60.0

    @Option(help: ArgumentHelp("Name of a model, or its folder.", valueName: "name|folder"))
    var model = ModelLocator.embeddedModel

    @Option(help: ArgumentHelp("LoRA file merged at start.", valueName: "file[:scale]"))
    var lora: [String] = []

    @Option(help: ArgumentHelp("Folder of LoRA files that requests may name.", valueName: "folder"))
    var loraFolder: String?

    @Option(
        help: ArgumentHelp("Folder of ControlNets that requests may name.", valueName: "folder"))
    var controlNetFolder: String?

    @OptionGroup var scheduling: SchedulerOptions
    @OptionGroup var options: ModelOptions
    @OptionGroup var caches: CacheOptions

    mutating func validate() throws {
        _ = try lora.map(LoRAOption.parse)
        guard (socket == nil) != (queueOptions.queue == nil) else {
            throw ValidationError(
                "a worker serves a --socket or a --queue; give one of the two.")
        }
        guard (0...100_000).contains(grace) else {
            throw ValidationError("--grace must be between 0 and 100000 seconds, got \(grace).")
        }
    }

    func run() async throws {
        #if Fleet
            if queueOptions.queue != nil { return try await runForFleet() }
        #endif
        guard let socket else { return }
        // The gateway stops its workers, even if a supervisor signals both.
        for ignored in [SIGINT, SIGTERM, SIGHUP] { signal(ignored, SIG_IGN) }
        // It was started as /proc/self/exe and would be listed as 'exe'.
        try? Data("inkstone".utf8).write(to: URL(filePath: "/proc/self/comm"))
        ParentWatch.begin(socket: socket)
        let folder = try ModelOptions.open(model)
        let device = try options.makeBackend(for: folder)
        var logger = Logger(label: "inkstone.worker")
        logger.logLevel = .warning
        let server = WorkerServer {
            FileHandle.standardOutput.write(Data("\(WorkerServer.readyLine)\n".utf8))
        }
        DispatchQueue.global(qos: .userInitiated).async {
            do {
                server.finishLoading(
                    try makeEngine(folder, device, for: server),
                    secondsPerPixel: try PeakThroughput.expectedSecondsPerPixel(
                        of: folder, on: device))
            } catch {
                finish(error, of: Self.self)
            }
        }
        try await server.run(socket: socket, logger: logger)
        Foundation.exit(EXIT_SUCCESS)
    }

    /// Loads the model; progress and passes are reported to the server.
    func makeEngine(
        _ folder: ModelDirectory, _ device: some Backend, for server: WorkerServer
    ) throws -> any LocalEngine {
        let pipeline = try Pipeline(
            model: folder, device: device, loras: try lora.map(LoRAOption.parse),
            promptCache: caches.promptCache(for: device), weightCache: caches.weights.cache,
            progress: { server.recordLoading($0) })
        ModelOptions.reportResidency(of: pipeline)
        return InferenceEngine(
            pipeline: pipeline, limits: scheduling.limits,
            loras: LoRARegistry(
                folder: loraFolder.map { URL(filePath: $0) }, models: [folder.url]),
            controlNets: ControlNetRegistry(
                folder: controlNetFolder.map { URL(filePath: $0) }, models: [folder.url],
                roots: ModelLocator().roots),
            onPass: { server.record($0) },
            onFailure: { error in
                complain("\(error)")
                // What has ended is on its way to the gateway, which runs the others again in a new worker.
                if !error.isLost { Thread.sleep(forTimeInterval: 0.5) }
                Foundation.exit(ExitStatus.failed.rawValue)
            })
    }
}
