// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Basics
import Catalog
import Engine
import Foundation
import Gateway
import Logging
import ModelFiles
import Service
import Telemetry
import Tensors
import ZImage

/// `inkstone serve`: serves the page and the API.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve the page and the API.")

    @Option(
        help: ArgumentHelp(
            "Name of a model, or its folder. May be given several times; the first is the default."
                + " Without any it is \(ModelLocator.embeddedModel), and none with --queue.",
            valueName: "name|folder"))
    var model: [String] = []

    @Option(
        help: ArgumentHelp(
            "LoRA file merged at start, followed by :SCALE if not 1. May be given several times.",
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

    @Flag(help: "Allow requests from other machines without API keys.")
    var allowRemoteWithoutKeys = false

    @Option(
        help: ArgumentHelp(
            "Allowed Host header, in addition to addresses and this machine's names.",
            valueName: "name"))
    var allowedHost: [String] = []

    @Option(help: ArgumentHelp("Web origin whose pages may call every route.", valueName: "origin"))
    var allowedOrigin: [String] = []

    @Option(
        help: ArgumentHelp(
            "Address that links in answers begin with, such as https://pictures.example.org/ink; without it that of"
                + " each request.", valueName: "url"))
    var publicUrl: String?

    @Option(
        help: ArgumentHelp(
            "Proxy whose Forwarded and X-Forwarded headers are believed: an address, a network such as 10.1.0.0/16,"
                + " loopback, private or none. May be given several times; without it loopback and private.",
            valueName: "address"))
    var trustedProxy: [String] = []

    @Option(
        help: ArgumentHelp(
            "YAML file with options, named without dashes; SIGHUP reloads it.",
            valueName: "file"))
    var config: String?

    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var workers: WorkerOptions
    @OptionGroup var queueOptions: QueueOptions
    @OptionGroup var scheduling: SchedulerOptions
    @Option(
        help: ArgumentHelp(
            "Access log with a line per request; - is standard output. SIGHUP reopens it.",
            valueName: "file"))
    var accessLog: String?

    @Option(help: "Format of the access log: combined as in nginx, or JSON.")
    var accessLogFormat = AccessLog.Format.combined

    @Option(help: "Format of the program's log on standard error.")
    var logFormat = LogFormat.text

    @Flag(
        help:
            "Leave the generation parameters out of image files, unless a request has embed_parameters."
    )
    var noEmbedParameters = false

    @OptionGroup var options: ModelOptions
    @OptionGroup var caches: CacheOptions

    mutating func validate() throws {
        try checkPorts(port, pagePort)
        _ = try lora.map(LoRAOption.parse)
        if let publicUrl, ServiceAddress(publicUrl) == nil {
            throw ValidationError(
                "--public-url must be an address such as https://pictures.example.org or"
                    + " http://example.org:8080/ink, got \(publicUrl.quoted).")
        }
        for proxy in trustedProxy where TrustedProxies([proxy]) == nil {
            throw ValidationError(
                "--trusted-proxy must be an address such as 10.1.2.3, a network such as 10.1.0.0/16, loopback,"
                    + " private or none, got \(proxy.quoted).")
        }
        let devices = options.device.all
        let gpus = devices.filter { $0 != .cpu }
        guard devices.count == 1 || workers.workers == 1 else {
            throw ValidationError(
                "--device names \(devices.count) devices, one for each worker: leave --workers out."
            )
        }
        guard devices.count == 1 ? gpus.isEmpty || workers.workers == 1 : areDistinct(gpus) else {
            throw ValidationError(
                "a GPU holds the model of one worker: name one for each, such as --device vulkan:0,vulkan:1."
            )
        }
        if !lora.isEmpty, models.count != 1 {
            throw ValidationError(
                "--lora requires exactly one --model, got \(models.count)."
            )
        }
    }

    private func areDistinct(_ gpus: [DeviceSelection]) -> Bool {
        // Two that are only known when they are opened could be the same.
        let isOpen = gpus.contains(where: \.isOpen)
        return !(isOpen && gpus.count > 1)
            && Set(gpus).count == gpus.count
    }

    /// Workers of each model.
    var workersPerModel: Int { max(workers.workers, options.device.all.count) }

    /// Models that are loaded at start.
    var models: [String] {
        model.isEmpty && queueOptions.queue == nil ? [ModelLocator.embeddedModel] : model
    }

    func run() async throws { try await run(onReady: Self.announce) }

    /// Serves until a signal, and ends the program.
    ///
    /// - Parameter onReady: Called with the addresses as soon as they accept connections, unless the service is a
    ///   fleet's.
    /// - Throws: An error before the service begins.
    func run(onReady: @escaping @Sendable (GatewayAddresses) -> Void) async throws {
        let telemetry = ServiceTelemetry(
            version: version,
            accessLog: try accessLog.map { try AccessLog(path: $0, format: accessLogFormat) })
        telemetry.exportLibraryMetrics()
        var logger = logFormat.logger
        logger.logLevel = .info
        #if Fleet
            if queueOptions.queue != nil {
                for warning in try DataFolder.open(dataOptions.folder) {
                    logger.warning("\(warning)")
                }
                let keys = try KeyStore(folder: dataOptions.folder, logger: logger)
                return try await serveFleet(telemetry, keys, logger)
            }
        #endif
        // A mistyped name ends the program before it reports its addresses.
        let launches = try models.map { try launch($0) }
        let store = try JobStore(folder: dataOptions.folder)
        let keys = try KeyStore(folder: dataOptions.folder, logger: logger)
        let signer = try LinkSigner(folder: dataOptions.folder)
        let pool = try WorkerPool(
            settings: workers.settings(
                models: launches.count, workers: workersPerModel), metrics: telemetry.engine,
            logger: logger)
        report(store, logger)
        let (listening, listens) = AsyncStream<Void>.makeStream()
        await withThrowingTaskGroup(of: Part.self) { [logger] group in
            group.addTask {
                let gateway = try gateway(pool, store, keys, signer, telemetry, logger)
                try await serve(gateway, reload: reload(logger)) { addresses in
                    listens.finish()
                    logger.info("Supervisor address: \(addresses.api)")
                    onReady(addresses)
                }
                return .service
            }
            group.addTask {
                // A port in use is reported before models are loaded.
                for await _ in listening {}
                for launch in launches { try await load(launch, by: pool) }
                return .loading
            }
            do {
                // The service ends on request; loading models are cancelled then.
                while let part = try await group.next(), part == .loading {}
            } catch {
                await pool.shutdown(grace: .zero)
                close(store, logger)
                // A group waits for all its tasks; the service would continue without a model.
                finish(error, of: Self.self)
            }
            await pool.shutdown()
            close(store, logger)
            Foundation.exit(EXIT_SUCCESS)
        }
    }

    private func gateway(
        _ pool: WorkerPool, _ store: JobStore, _ keys: KeyStore, _ signer: LinkSigner,
        _ telemetry: ServiceTelemetry, _ logger: Logger
    ) throws -> Gateway {
        var configuration = try gatewayConfiguration()
        configuration.linkSigner = signer
        return Gateway(
            pool: pool, store: store, keys: keys, configuration: configuration,
            telemetry: telemetry, logger: logger)
    }

    /// Logs what was found when the store was opened.
    private func report(_ store: JobStore, _ logger: Logger) {
        for warning in store.warnings { logger.warning("\(warning)") }
        if let copy = store.upgrade {
            logger.notice(
                "the data folder of an earlier version was upgraded; a copy of before is retained",
                metadata: [
                    "copy": "\(copy.url.path)",
                    "to go back":
                        "stop the server, run '\(copy.wayBack)', start the earlier version",
                ])
        }
    }

    /// Leaves all jobs in the database file, with an empty log.
    private func close(_ store: JobStore, _ logger: Logger) {
        do { try store.close() } catch {
            logger.warning("the job database was not closed", metadata: ["error": "\(error)"])
        }
    }

    func gatewayConfiguration() throws -> GatewayConfiguration {
        let limits = scheduling.limits
        let capacity = (limits.running + limits.waiting) * workersPerModel
        let folders = try models.map { try ModelLocator().locate($0) }
        var configuration = GatewayConfiguration(
            version: version, host: host, port: port, pagePort: pagePort,
            allowRemoteWithoutKeys: allowRemoteWithoutKeys, allowedHosts: allowedHost,
            allowedOrigins: allowedOrigin, capacity: capacity,
            jobs: dataOptions.limits(capacity: capacity),
            loras: LoRARegistry(folder: dataOptions.loraFolder, models: folders),
            benchmarks: dataOptions.benchmarkFolder)
        configuration.controlNets = ControlNetRegistry(
            folder: dataOptions.controlNetFolder, models: folders, roots: ModelLocator().roots)
        configuration.embedsParameters = !noEmbedParameters
        configuration.modelFolders = folders
        configuration.publicAddress = publicUrl.flatMap { ServiceAddress($0) }
        if !trustedProxy.isEmpty {
            configuration.trustedProxies = TrustedProxies(trustedProxy) ?? .standard
        }
        configuration.linkSeconds = dataOptions.linkSeconds
        // Settings of models that are launched later, except for their files.
        configuration.launch =
            try models.first.map(launch) ?? (try? launch(ModelLocator.embeddedModel))
        return configuration
    }

    /// Reloads the configuration file, if there is one.
    func reload(_ logger: Logger) -> (@Sendable () throws -> GatewayConfiguration)? {
        guard config != nil else { return nil }
        let before = self
        return {
            let words = try ConfigFile.expand(Array(CommandLine.arguments.dropFirst()))
            let now = try Self.parse(Array(words.dropFirst()))
            let waiting = now.words(differingFrom: before)
            if !waiting.isEmpty {
                logger.warning(
                    "some settings take effect at the next start",
                    metadata: ["settings": "\(waiting.joined(separator: ", "))"])
            }
            return try now.gatewayConfiguration()
        }
    }

    /// Settings that differ and cannot change while the service runs.
    private func words(differingFrom other: ServeCommand) -> [String] {
        let pairs: [(String, Bool)] = [
            ("model", model == other.model), ("lora", lora == other.lora),
            ("queue", queueOptions.queue == other.queueOptions.queue),
            ("host", host == other.host), ("port", port == other.port),
            ("page-port", pagePort == other.pagePort),
            ("data", dataOptions.folder == other.dataOptions.folder),
            ("workers", workers.workers == other.workers.workers),
            ("memory-budget", workers.memoryBudget == other.workers.memoryBudget),
            ("running", scheduling.running == other.scheduling.running),
            ("waiting", scheduling.waiting == other.scheduling.waiting),
            ("pass-tokens", scheduling.passTokens == other.scheduling.passTokens),
            ("precision", options.precision == other.options.precision),
            ("threads", options.threads == other.options.threads),
            ("device", options.device == other.options.device),
            ("device-memory", options.deviceMemory == other.options.deviceMemory),
            ("no-embed-parameters", noEmbedParameters == other.noEmbedParameters),
            ("access-log", accessLog == other.accessLog),
            ("link-hours", dataOptions.linkHours == other.dataOptions.linkHours),
        ]
        return pairs.filter { !$0.1 }.map(\.0)
    }

    /// Loads a model in its worker processes.
    func load(_ launch: ModelLaunch, by pool: WorkerPool) async throws {
        let start = ContinuousClock.now
        let model = try await pool.launch(launch)
        let seconds = (ContinuousClock.now - start).inSeconds
        Self.say(
            "model \(model.id) in \(model.precision) on \(model.kernels), loaded in"
                + " \(ProgressLine.text(seconds))")
    }

    /// The launch settings of a model; reads its small files and the headers of LoRA files.
    func launch(_ model: String) throws -> ModelLaunch {
        let folder = try ModelOptions.open(model)
        var launch = ModelLaunch(folder: folder.url)
        launch.replicas = workersPerModel
        launch.loras = try lora.map(LoRAOption.parse).map {
            _ = try SafetensorsFile(url: $0.url)
            return .init(file: $0.url, scale: $0.scale)
        }
        launch.loraFolder = dataOptions.loraFolder
        launch.controlNetFolder = dataOptions.controlNetFolder
        launch.precision = options.precision
        launch.threads = options.threads
        launch.devices = options.device.all
        launch.deviceMemory = options.deviceMemory
        launch.limits = scheduling.limits
        launch.keepsPrompts = !caches.noPromptCache
        launch.keepsWeights = !caches.weights.noWeightCache
        launch.cacheFolder = caches.weights.cacheDir
        return launch
    }

    /// The concurrent tasks.
    private enum Part { case service, loading }

    /// Reports the addresses on standard output.
    @Sendable
    static func announce(_ addresses: GatewayAddresses) {
        say("page  \(addresses.page)")
        say("API   \(addresses.api)/v1/images/generations")
    }

    static func say(_ text: String) {
        FileHandle.standardOutput.write(Data("inkstone: \(text)\n".utf8))
    }
}
