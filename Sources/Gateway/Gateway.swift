// Part of Inkstone. Licence: see LICENSE.

package import Engine
package import Hummingbird
package import Logging
import NIOCore
package import Service

/// What all routes share, and the table of routes.
package struct Gateway: Sendable {
    /// Everything that is drawn is a job of this service.
    let jobs: any JobQueue
    /// What the jobs run on.
    let generator: MeteredGenerator
    /// Workers of this machine, where there can be any: models come and go.
    let pool: WorkerPool?
    /// What has figures of its own for `/metrics`.
    let reporters: [any MetricReporting]
    let configuration: GatewayConfiguration
    let telemetry: ServiceTelemetry
    let log: RequestLog
    let connections = ConnectionBoard()
    let state: ServiceState
    let files = ImageFileStore()
    let keys: KeyStore?
    let keyUsage = KeyUsage()
    let failedLaunches = FailedLaunches()
    let catalogTasks = CatalogTasks()
    let a1111 = A1111State()
    let gradio = GradioSessions()
    let startedAt = ContinuousClock.now
    let logger: Logger

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

    /// A service in front of a generator, whose jobs are kept by what `queue` makes; that is told
    /// what counts their events.
    package init(
        generator: any ImageGenerating, pool: WorkerPool? = nil, keys: KeyStore? = nil,
        configuration: GatewayConfiguration, telemetry: ServiceTelemetry, logger: Logger,
        queue: (MeteredGenerator) -> any JobQueue
    ) {
        self.generator = MeteredGenerator(generator, metrics: telemetry.engine)
        self.pool = pool ?? generator as? WorkerPool
        reporters =
            [generator as? any MetricReporting].compactMap(\.self) + (pool.map { [$0] } ?? [])
        jobs = queue(self.generator)
        self.keys = keys
        self.configuration = configuration
        state = ServiceState(configuration)
        self.telemetry = telemetry
        log = RequestLog(
            metrics: telemetry.http, accessLog: telemetry.accessLog, logger: logger)
        self.logger = logger
    }

    /// Takes over what may change while the service runs: who may talk to it, how long jobs may
    /// take and what is kept of them.
    package func adopt(_ changed: GatewayConfiguration) async {
        state.setOriginPolicy(OriginPolicy(changed))
        await jobs.adopt(changed.jobs)
    }

    /// Takes no more requests for pictures; those in progress go on.
    package func beginDraining() { state.beginDraining() }

    /// A listener on a port, with every route.
    ///
    /// - Parameters:
    ///   - port: where to listen; 0 lets the system choose.
    ///   - opened: told the actual port as soon as connections are accepted.
    /// - Returns: a listener that is not running yet.
    package func makeApplication(
        port: Int, opened: @escaping @Sendable (Int) async -> Void = { _ in }
    ) -> some ApplicationProtocol {
        // The framework's own lines matter only when something is wrong.
        var logger = logger
        if logger.logLevel == .info || logger.logLevel == .notice { logger.logLevel = .warning }
        return Application(
            router: makeRouter(),
            // The rest between two requests is bounded here, the time to read one by the handler; never
            // the time to answer one.
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [
                        ConnectionMeterHandler(
                            board: connections, limit: configuration.readTimeout)
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
        addOpenAIRoutes(to: router)
        addEditRoutes(to: router)
        addXinferenceRoutes(to: router)
        addA1111Routes(to: router)
        addGradioRoutes(to: router)
        addModelRoutes(to: router)
        addModelLifecycleRoutes(to: router)
        addCatalogRoutes(to: router)
        addPageAPIRoutes(to: router)
        addLoRARoutes(to: router)
        addJobRoutes(to: router)
        addJobPictureRoutes(to: router)
        addEstimateRoute(to: router)
        addStatusRoute(to: router)
        addBenchmarkRoutes(to: router)
        addHealthRoutes(to: router)
        addMetricsRoute(to: router)
        addPageFileRoutes(to: router)
        return router
    }
}

/// Answers one method of a path.
typealias Handler = @Sendable (Request, GatewayContext) async throws -> Response

extension Router<GatewayContext> {
    /// Adds a path with its methods: `HEAD` beside `GET`, and 405 for every method not given.
    func endpoint(_ path: RouterPath, _ handlers: [HTTPRequest.Method: Handler]) {
        var handlers = handlers
        if let get = handlers[.get] {
            handlers[.head] = { try await get($0, $1).createHeadResponse() }
        }
        let allow = handlers.keys.map(\.rawValue).sorted().joined(separator: ", ")
        for method in [HTTPRequest.Method.get, .head, .post, .put, .patch, .delete] {
            let refuse: Handler = { request, _ in
                throw APIError(
                    .methodNotAllowed, code: "method_not_allowed",
                    "\(request.method.rawValue) is not possible here; use \(allow).",
                    allow: allow)
            }
            on(path, method: method, use: handlers[method] ?? refuse)
        }
    }
}
