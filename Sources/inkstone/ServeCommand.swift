// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Foundation
import Gateway
import Logging
import ModelFiles
import Service
import Telemetry
import Tensors
import ZImage

/// `inkstone serve`: page and API.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve the page and the API.")

    @Option(
        help: ArgumentHelp(
            "Name of a model, or its folder. May be given several times; the first is the default.",
            valueName: "name|folder"))
    var model = [ModelLocator.embeddedModel]

    @Option(
        help: ArgumentHelp(
            "LoRA file merged at start, with :SCALE behind it if not 1. May be given several times.",
            valueName: "file[:scale]"))
    var lora: [String] = []

    @Option(help: ArgumentHelp("Address to listen on.", valueName: "address"))
    var host = "127.0.0.1"

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Port of the API; 0 lets the system choose.", valueName: "port"))
    var port = 9997

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Port of the page; 0 lets the system choose.", valueName: "port"))
    var pagePort = 7860

    @Flag(help: "Serve other machines although nobody has to show a key.")
    var allowRemoteWithoutKeys = false

    @Option(
        help: ArgumentHelp(
            "Name that requests may carry in their Host header, beside localhost.",
            valueName: "name"))
    var allowedHost: [String] = []

    @Option(help: ArgumentHelp("Web origin whose pages may call the API.", valueName: "origin"))
    var allowedOrigin: [String] = []

    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var workers: WorkerOptions
    @OptionGroup var scheduling: SchedulerOptions
    @Option(
        help: ArgumentHelp(
            "File that gets a line for every request; - is standard output. SIGHUP opens it anew.",
            valueName: "file"))
    var accessLog: String?

    @Option(help: "Lines of the access log: as nginx writes combined, or JSON.")
    var accessLogFormat = AccessLog.Format.combined

    @Option(help: "Lines of the program's own log, on standard error.")
    var logFormat = LogFormat.text

    @OptionGroup var options: ModelOptions
    @OptionGroup var caches: CacheOptions

    mutating func validate() throws {
        try checkPorts(port, pagePort)
        _ = try lora.map(LoRAOption.parse)
        if !lora.isEmpty, model.count > 1 {
            throw ValidationError(
                "--lora goes with one --model, got \(model.count); which one it is for is not said."
            )
        }
        if model.count > 1, workers.workers == 0 {
            throw ValidationError(
                "Several models need processes of their own: add --workers 1, or give one --model.")
        }
    }

    func run() async throws {
        // A mistyped name ends the program before anybody is told that it serves.
        let launches = try model.map { try launch($0) }
        let isPooled = workers.workers > 0
        let device = isPooled ? nil : try options.makeBackend(for: ModelOptions.open(model[0]))
        let telemetry = ServiceTelemetry(
            version: version,
            accessLog: try accessLog.map { try AccessLog(path: $0, format: accessLogFormat) })
        let limits = scheduling.limits
        let capacity = (limits.running + limits.waiting) * max(1, workers.workers)
        let store = try JobStore(folder: dataOptions.folder)
        let keys = try KeyStore(folder: dataOptions.folder)
        var logger = logFormat.logger
        logger.logLevel = .info
        let engine = DeferredEngine()
        let pool =
            isPooled
            ? try WorkerPool(settings: workers.settings(models: launches.count), logger: logger)
            : nil
        let configuration = GatewayConfiguration(
            version: version, host: host, port: port, pagePort: pagePort,
            allowRemoteWithoutKeys: allowRemoteWithoutKeys, allowedHosts: allowedHost,
            allowedOrigins: allowedOrigin, capacity: capacity,
            jobs: dataOptions.limits(capacity: capacity))
        if let aside = store.setAside {
            logger.error(
                "the job database was damaged; a new one is begun",
                metadata: ["old": "\(aside.path)"])
        }
        let (listening, listens) = AsyncStream<Void>.makeStream()
        await withThrowingTaskGroup(of: Part.self) { [logger] group in
            group.addTask {
                try await serve(
                    pool ?? engine, store: store, keys: keys, configuration: configuration,
                    telemetry: telemetry, logger: logger
                ) { addresses in
                    listens.finish()
                    if isPooled { logger.info("Supervisor address: \(addresses.api)") }
                    Self.say("page  \(addresses.page)")
                    Self.say("API   \(addresses.api)/v1/images/generations")
                }
                return .service
            }
            group.addTask {
                // A port that is taken is told before models are loaded in vain.
                for await _ in listening {}
                if let pool {
                    for launch in launches { try await load(launch, by: pool) }
                } else if let device {
                    try load(on: device, telemetry, into: engine)
                }
                return .loading
            }
            do {
                // The service ends when it is asked to stop; models that load then are given up.
                while let part = try await group.next(), part == .loading {}
            } catch {
                await pool?.shutdown(grace: .zero)
                // A group waits for all its tasks, and the service would go on without a model.
                finish(error)
            }
            await pool?.shutdown()
            Foundation.exit(EXIT_SUCCESS)
        }
    }

    /// Loads a model in processes of its own.
    private func load(_ launch: ModelLaunch, by pool: WorkerPool) async throws {
        let start = ContinuousClock.now
        let loaded = try await pool.launch(launch)
        Self.tell(loaded, since: start)
    }

    /// Loads the one model in this process.
    private func load(
        on device: CPUBackend, _ telemetry: ServiceTelemetry, into engine: DeferredEngine
    ) throws {
        let start = ContinuousClock.now
        let folder = try ModelOptions.open(model[0])
        let loras = try lora.map(LoRAOption.parse)
        let pipeline = try Pipeline(
            model: folder, device: device, loras: loras, promptCache: caches.promptCache,
            weightCache: caches.weightCache)
        let id = folder.manifest.id
        let loaded = InferenceEngine(pipeline: pipeline, limits: scheduling.limits) {
            telemetry.engine.count($0, model: id)
        }
        telemetry.engine.modelLoaded(
            loaded.description, seconds: (ContinuousClock.now - start).inSeconds,
            loras: loras.count)
        telemetry.watch(loaded)
        engine.finishLoading(loaded)
        Self.tell(loaded.description, since: start)
    }

    private static func tell(_ model: ModelDescription, since start: ContinuousClock.Instant) {
        let seconds = (ContinuousClock.now - start).inSeconds
        say(
            "model \(model.id) in \(model.precision) on \(model.kernels), loaded in"
                + " \(ProgressLine.text(seconds))")
    }

    /// What a worker of a model needs to know; reads the model's small files, and the heads of LoRA
    /// files.
    private func launch(_ model: String) throws -> ModelLaunch {
        let folder = try ModelOptions.open(model)
        var launch = ModelLaunch(folder: folder.url)
        launch.replicas = workers.workers
        launch.loras = try lora.map(LoRAOption.parse).map {
            _ = try SafetensorsFile(url: $0.url)
            return .init(file: $0.url, scale: $0.scale)
        }
        launch.precision = options.precision
        launch.threads = options.threads
        launch.limits = scheduling.limits
        launch.keepsPrompts = !caches.noPromptCache
        launch.keepsWeights = !caches.noWeightCache
        launch.cacheFolder = caches.cacheDir
        return launch
    }

    /// What goes on side by side.
    private enum Part { case service, loading }

    private static func say(_ text: String) {
        FileHandle.standardOutput.write(Data("inkstone: \(text)\n".utf8))
    }
}
