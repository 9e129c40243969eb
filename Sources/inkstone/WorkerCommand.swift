// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Dispatch
import Engine
import Foundation
import Logging
import ModelFiles
import Service
import Tensors
import ZImage

/// `inkstone worker`: one model in a process of its own, started by `serve`.
///
/// It ends when its standard input closes, which is when the process that started it ends.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Run a model for the process that started this one.",
        shouldDisplay: false)

    @Option(help: ArgumentHelp("Unix socket to listen on.", valueName: "path"))
    var socket: String

    @Option(help: ArgumentHelp("Name of a model, or its folder.", valueName: "name|folder"))
    var model = ModelLocator.embeddedModel

    @Option(help: ArgumentHelp("LoRA file merged at start.", valueName: "file[:scale]"))
    var lora: [String] = []

    @Option(help: ArgumentHelp("Folder of LoRA files that requests may name.", valueName: "folder"))
    var loraFolder: String?

    @OptionGroup var scheduling: SchedulerOptions
    @OptionGroup var options: ModelOptions
    @OptionGroup var caches: CacheOptions

    mutating func validate() throws {
        _ = try lora.map(LoRAOption.parse)
    }

    func run() async throws {
        // The gateway decides when a worker ends, also where a supervisor signals both.
        for ignored in [SIGINT, SIGTERM, SIGHUP] { signal(ignored, SIG_IGN) }
        // It was started as /proc/self/exe and would be listed as 'exe'.
        try? Data("inkstone".utf8).write(to: URL(filePath: "/proc/self/comm"))
        ParentWatch.begin(socket: socket)
        let folder = try ModelOptions.open(model)
        let device = try options.makeBackend(for: folder)
        let loras = try lora.map(LoRAOption.parse)
        let (promptCache, weightCache) = (caches.promptCache, caches.weightCache)
        let (limits, socket) = (scheduling.limits, socket)
        let registry = LoRARegistry(
            folder: loraFolder.map { URL(filePath: $0) }, models: [folder.url])
        var logger = Logger(label: "inkstone.worker")
        logger.logLevel = .warning
        let server = WorkerServer()
        DispatchQueue.global(qos: .userInitiated).async {
            do {
                let pipeline = try Pipeline(
                    model: folder, device: device, loras: loras, promptCache: promptCache,
                    weightCache: weightCache, progress: { server.noteLoading($0) })
                server.finishLoading(
                    InferenceEngine(
                        pipeline: pipeline, limits: limits, loras: registry,
                        onPass: { server.notePass($0) }))
            } catch {
                finish(error)
            }
        }
        try await server.run(socket: socket, logger: logger)
        Foundation.exit(EXIT_SUCCESS)
    }
}
