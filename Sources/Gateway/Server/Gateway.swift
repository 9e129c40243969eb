// Part of Inkstone. Licence: see LICENSE.

import Catalog
package import Engine
package import HTTPTypes
package import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
package import Service

/// The service over HTTP: its middleware and its controllers.
package struct Gateway: Sendable {
    let jobs: any JobQueue
    let meter: EngineMeter
    let keys: KeyStore?
    let configuration: GatewayConfiguration
    let telemetry: ServiceTelemetry
    let state: ServiceState
    let log: HTTPRequestLog
    let logger: Logger
    private let connections = ConnectionRegistry()
    private let table: RouteTable
    private let links: ImageLinks
    /// What LoRA files contain.
    private let loraFacts: LoRAFactsCache

    /// A service over a generator, with its jobs in a store.
    package init(
        generator: any ImageGenerating & ModelListing, forecaster: (any RequestForecasting)? = nil,
        store: JobStore, keys: KeyStore? = nil, configuration: GatewayConfiguration,
        telemetry: ServiceTelemetry, logger: Logger
    ) {
        let meter = EngineMeter(telemetry.engine)
        self.init(
            jobs: JobService(
                engine: MeteredGenerator(generator, meter: meter), models: generator, store: store,
                limits: configuration.jobs, logger: logger),
            meter: meter, forecaster: forecaster, keys: keys, configuration: configuration,
            telemetry: telemetry, logger: logger)
    }

    /// A service over workers of this machine, with its jobs in a store.
    package init(
        pool: WorkerPool, store: JobStore, keys: KeyStore? = nil,
        configuration: GatewayConfiguration, telemetry: ServiceTelemetry, logger: Logger
    ) {
        let meter = EngineMeter(telemetry.engine)
        self.init(
            jobs: JobService(
                engine: MeteredGenerator(pool, meter: meter), models: pool, store: store,
                limits: configuration.jobs, logger: logger),
            meter: meter, pool: pool, forecaster: pool, reports: pool, reporters: [pool],
            keys: keys, configuration: configuration, telemetry: telemetry, logger: logger)
    }

    /// A service over a queue of jobs.
    ///
    /// - Parameters:
    ///   - jobs: The queue.
    ///   - meter: Counts the requests to the engine.
    ///   - pool: Workers of this machine, if it has any.
    ///   - forecaster: Forecasts time and memory of a request.
    ///   - reports: Reports on the workers of each model.
    ///   - reporters: Sources of further metrics.
    ///   - keys: API keys, if clients need one.
    ///   - configuration: Addresses, access and limits.
    ///   - telemetry: Metrics and access log.
    ///   - logger: Receives the program's log.
    package init(
        jobs: any JobQueue, meter: EngineMeter, pool: WorkerPool? = nil,
        forecaster: (any RequestForecasting)? = nil, reports: (any ModelReporting)? = nil,
        reporters: [any MetricReporting] = [], keys: KeyStore? = nil,
        configuration: GatewayConfiguration, telemetry: ServiceTelemetry, logger: Logger
    ) {
        self.jobs = jobs
        self.meter = meter
        self.keys = keys
        self.configuration = configuration
        state = ServiceState(configuration)
        self.telemetry = telemetry
        log = HTTPRequestLog(
            metrics: telemetry.http, accessLog: telemetry.accessLog, logger: logger)
        self.logger = logger
        let requests = RequestService(
            jobs: jobs, meter: meter, loras: configuration.loras,
            controlNets: configuration.controlNets,
            embedsParameters: configuration.embedsParameters, limits: configuration.limits,
            state: state)
        loraFacts = LoRAFactsCache { try await LoRAReader(pool: pool).facts(of: $0) }
        links = ImageLinks(
            signer: configuration.linkSigner, keys: keys, seconds: configuration.linkSeconds)
        table = RouteTable(
            Self.controllers(
                requests, pool: pool, keys: keys, links: links, loraFacts: loraFacts, configuration
            ) + [
                PageController(
                    requests: requests, state: state, forecaster: forecaster, reports: reports,
                    benchmarks: configuration.benchmarks.map(BenchmarkFolder.init),
                    version: configuration.version),
                MetricsController(
                    registry: telemetry.registry, reporters: reporters,
                    labels: configuration.metricLabels),
            ])
    }

    /// The controllers of the dialects and of what they share.
    private static func controllers(
        _ requests: RequestService, pool: WorkerPool?, keys: KeyStore?, links: ImageLinks,
        loraFacts: LoRAFactsCache, _ configuration: GatewayConfiguration
    ) -> [any Controller] {
        let reader = ImageReader(pool: pool, meter: requests.meter)
        let keepAlive = configuration.keepAliveInterval
        let version = configuration.version
        let address = "\(configuration.host):\(configuration.port)"
        return [
            OpenAIController(
                requests: requests, reader: reader, links: links, keepAlive: keepAlive),
            ModelController(
                jobs: requests.jobs, pool: pool, launchDefaults: configuration.launch,
                locator: configuration.locator, loras: requests.loras,
                controlNets: requests.controlNets, limits: requests.limits,
                modelFolders: configuration.modelFolders,
                isLoopback: HostName(configuration.host)?.isLoopback ?? false, address: address),
            ClusterController(
                jobs: requests.jobs, pool: pool, state: requests.state, keys: keys,
                host: configuration.host, address: address, version: version),
            A1111Controller(requests: requests, reader: reader, version: version),
            ImageFileController(requests: requests),
            GradioController(requests: requests, links: links, keepAlive: keepAlive),
            JobController(
                requests: requests, reader: reader, links: links, keepAlive: keepAlive),
            MCPController(
                requests: requests, reader: reader, version: version, keepAlive: keepAlive),
            CatalogController(
                locator: configuration.locator, pool: pool,
                cacheFolder: configuration.launch?.cacheFolder, limits: requests.limits),
            LoRAController(
                registry: requests.loras, pool: pool, facts: loraFacts, limits: requests.limits,
                maximumBytes: configuration.maximumLoRABytes),
            HealthController(
                jobs: requests.jobs, keys: keys, meter: requests.meter, state: requests.state,
                capacity: configuration.capacity, version: version),
        ]
    }

    /// Every route, in the order of registration, and the clients that may use it.
    package var routes: [(method: HTTPRequest.Method, path: String, access: RouteClass)] {
        table.routes.map { ($0.method, $0.path, $0.endpoint.access) }
    }

    /// Applies the settings that may change while the service runs: allowed hosts and origins, its public address and
    /// its proxies, and the limits of jobs' duration and storage.
    package func apply(_ changed: GatewayConfiguration) async {
        state.setPolicies(changed)
        await jobs.updateLimits(changed.jobs)
    }

    /// Reads the LoRA files that there are, so that their first list is complete, and logs those that cannot be used.
    package func readLoRAs() async {
        let listing = configuration.loras.listing
        for skipped in listing.skipped {
            logger.warning(
                "LoRA file not used",
                metadata: ["file": .string(skipped.file), "reason": .string(skipped.reason)])
        }
        for folder in configuration.controlNets.unreadable {
            logger.warning(
                "ControlNets of a folder not used",
                metadata: [
                    "folder": .string(folder),
                    "reason": "this user may not read the folder (permission denied)",
                ])
        }
        _ = await loraFacts.knowledge(of: listing.entries.map(\.url), atMost: .zero)
    }

    /// Removes what killed processes have left, and what is kept no longer, at once and by the clock.
    package func startHousekeeping() async {
        LoRAUpload.removeLeftovers(of: configuration.loras)
        await jobs.startHousekeeping()
    }

    /// Refuses new requests for images; those in progress continue.
    package func beginDraining() { state.beginDraining() }

    /// Answers the requests that wait for images with an error, and waits until the answers are sent.
    package func stop() async {
        beginDraining()
        await jobs.stop()
        await log.metrics.waitUntilIdle(atMost: .seconds(2))
    }

    /// A listener on a port, with every route.
    ///
    /// - Parameters:
    ///   - port: the port; with 0 the system chooses one.
    ///   - opened: called with the actual port as soon as connections are accepted.
    /// - Returns: a listener that is not running yet.
    package func makeApplication(
        port: Int, opened: @escaping @Sendable (Int) async -> Void = { _ in }
    ) -> some ApplicationProtocol {
        // The framework's own lines matter only when something is wrong.
        var logger = logger
        if logger.logLevel == .info || logger.logLevel == .notice { logger.logLevel = .warning }
        return Application(
            router: makeRouter(),
            // The pause between two requests and the time to read one are limited; the time to answer one is not.
            server: HTTPServerBuilder { responder in
                HTTPConnectionChannel(
                    responder: responder, registry: connections, log: log,
                    readTimeout: configuration.readTimeout, idleTimeout: configuration.idleTimeout)
            },
            configuration: .init(
                address: .hostname(configuration.host, port: port), serverName: "inkstone"),
            onServerRunning: { channel in await opened(channel.localAddress?.port ?? port) },
            logger: logger)
    }

    /// Every route with its middleware; both listeners serve the same table.
    private func makeRouter() -> Router<GatewayContext> {
        let router = Router(context: GatewayContext.self)
        router.add(middleware: TelemetryMiddleware(log: log, connections: connections))
        router.add(middleware: OriginMiddleware(state: state, keys: keys))
        router.add(middleware: ErrorMiddleware(meter: meter))
        router.add(middleware: MethodMiddleware())
        let check = KeyCheck(keys: keys, links: links)
        router.add(middleware: KeyMiddleware(check: check))
        router.add(middleware: LargeBodyMiddleware())
        table.register(in: router, check)
        return router
    }
}
