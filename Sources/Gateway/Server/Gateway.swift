// Part of Inkstone. Licence: see LICENSE.

package import Engine
package import HTTPTypes
package import Hummingbird
package import Logging
import NIOCore
package import Service

/// The service over HTTP: its middleware and its controllers.
package struct Gateway: Sendable {
    let jobs: any JobQueue
    let generator: MeteredGenerator
    let keys: KeyStore?
    let configuration: GatewayConfiguration
    let telemetry: ServiceTelemetry
    let state: ServiceState
    let log: HTTPRequestLog
    let logger: Logger
    private let connections = ConnectionRegistry()
    private let table: RouteTable

    /// A service in front of a generator, with its jobs in a store.
    package init(
        generator: any ImageGenerating, store: JobStore, keys: KeyStore? = nil,
        configuration: GatewayConfiguration,
        telemetry: ServiceTelemetry, logger: Logger
    ) {
        self.init(
            generator: generator, keys: keys, configuration: configuration, telemetry: telemetry,
            logger: logger
        ) { metered in
            JobService(
                engine: metered, store: store, limits: configuration.jobs, logger: logger)
        }
    }

    /// A service in front of a generator, whose jobs are run by the queue that `queue` makes around the
    /// metered generator.
    package init(
        generator: any ImageGenerating, pool: WorkerPool? = nil, keys: KeyStore? = nil,
        configuration: GatewayConfiguration, telemetry: ServiceTelemetry, logger: Logger,
        queue: (MeteredGenerator) -> any JobQueue
    ) {
        let reporters =
            [generator as? any MetricReporting].compactMap(\.self) + (pool.map { [$0] } ?? [])
        self.generator = MeteredGenerator(generator, metrics: telemetry.engine)
        jobs = queue(self.generator)
        self.keys = keys
        self.configuration = configuration
        state = ServiceState(configuration)
        self.telemetry = telemetry
        log = HTTPRequestLog(
            metrics: telemetry.http, accessLog: telemetry.accessLog, logger: logger)
        self.logger = logger
        table = RouteTable(
            Self.controllers(
                RequestService(
                    jobs: jobs, generator: self.generator, loras: configuration.loras,
                    limits: configuration.limits, state: state),
                pool: pool ?? generator as? WorkerPool, keys: keys, configuration,
                metrics: MetricsController(
                    registry: telemetry.registry, reporters: reporters,
                    labels: configuration.metricLabels)))
    }

    /// All controllers of the service.
    private static func controllers(
        _ requests: RequestService, pool: WorkerPool?, keys: KeyStore?,
        _ configuration: GatewayConfiguration, metrics: MetricsController
    ) -> [any Controller] {
        let reader = ImageReader(pool: pool, generator: requests.generator)
        let files = ImageFileStore()
        let keepAlive = configuration.keepAliveInterval
        let version = configuration.version
        return [
            OpenAIController(
                requests: requests, reader: reader, files: files, port: configuration.port,
                keepAlive: keepAlive),
            XinferenceController(
                jobs: requests.jobs, generator: requests.generator, pool: pool,
                state: requests.state, keys: keys, configuration: configuration),
            A1111Controller(requests: requests, reader: reader, version: version),
            GradioController(requests: requests, files: files, keepAlive: keepAlive),
            JobController(requests: requests, reader: reader, keepAlive: keepAlive),
            CatalogController(
                locator: configuration.locator, pool: pool,
                cacheFolder: configuration.launch?.cacheFolder, limits: requests.limits),
            LoRAController(
                registry: requests.loras, pool: pool, limits: requests.limits,
                maximumBytes: configuration.maximumLoRABytes),
            PageController(
                requests: requests, state: requests.state,
                benchmarks: configuration.benchmarks.map(BenchmarkFolder.init), version: version),
            HealthController(
                jobs: requests.jobs, generator: requests.generator, state: requests.state,
                capacity: configuration.capacity, version: version),
            metrics,
        ]
    }

    /// Every route, in the order of registration.
    package var routes: [(method: HTTPRequest.Method, path: String)] {
        table.routes.map { ($0.method, $0.path) }
    }

    /// Applies the settings that may change while the service runs: allowed hosts and origins, and the limits
    /// of jobs' duration and storage.
    package func apply(_ changed: GatewayConfiguration) async {
        state.setOriginPolicy(OriginPolicy(changed))
        await jobs.adopt(changed.jobs)
    }

    /// Refuses new requests for images; those in progress continue.
    package func beginDraining() { state.beginDraining() }

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
            // The pause between two requests is limited here, the time to read one by the handler; the time to
            // answer one is not.
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [
                        ConnectionMeterHandler(
                            registry: connections, limit: configuration.readTimeout)
                    ],
                    idleTimeout: .seconds(75))),
            configuration: .init(
                address: .hostname(configuration.host, port: port), serverName: "inkstone"),
            onServerRunning: { channel in await opened(channel.localAddress?.port ?? port) },
            logger: logger)
    }

    /// Every route with its middleware; both listeners serve the same table.
    private func makeRouter() -> Router<GatewayContext> {
        let router = Router(context: GatewayContext.self)
        router.add(middleware: TelemetryMiddleware(log: log, connections: connections))
        router.add(middleware: OriginMiddleware(state: state))
        router.add(middleware: ErrorMiddleware(generator: generator))
        router.add(middleware: KeyMiddleware(keys: keys))
        table.register(in: router)
        return router
    }
}
