// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
import Logging
import Synchronization
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A place for a worker: starts it, watches it, and replaces it when it has ended.
actor Replica {
    /// Model and number, for the log.
    nonisolated let name: String
    /// Whether a worker is there that takes requests.
    nonisolated var isUp: Bool { up.load(ordering: .relaxed) }

    /// Where the worker runs.
    nonisolated let device: DeviceSelection
    private nonisolated let up = Atomic(false)
    private let launch: ModelLaunch
    private let settings: WorkerSettings
    private let sockets: SocketFolder
    private let shares: ProcessorShares
    private let logger: Logger

    /// The worker that is there or on its way; `nil` where none is wanted.
    private var start: Task<Worker, any Error>?
    private var current: Worker?
    /// The process that loads.
    private var loading: (process: WorkerProcess, client: WorkerClient)?
    /// Why no further start makes sense.
    private var failure: LaunchError?
    private var isEnded = false
    /// Set when the replica is ended; cuts pauses short.
    private let ending = Promise<Void>()
    /// Waits for the end of the current worker's process.
    private var watch: Task<Void, Never>?
    /// Whether a worker was ready once.
    private var hasBeenUp = false
    /// Workers in a row that ended without having been healthy.
    private var failures = 0
    /// Workers that ended and were replaced.
    private var restarts = 0

    init(
        name: String, device: DeviceSelection, launch: ModelLaunch, settings: WorkerSettings,
        sockets: SocketFolder,
        shares: ProcessorShares, logger: Logger
    ) {
        self.name = name
        self.device = device
        self.launch = launch
        self.settings = settings
        self.sockets = sockets
        self.shares = shares
        var logger = logger
        logger[metadataKey: "worker"] = .string(name)
        self.logger = logger
    }

    // MARK: - Workers

    /// The worker, started if there is none; waits while it loads.
    ///
    /// - Throws: `LaunchError`.
    func worker() async throws -> Worker {
        while true {
            if isEnded { throw LaunchError(.cancelled, "the model was terminated.") }
            if let failure { throw failure }
            let worker = try await (start ?? begin()).value
            guard let end = worker.process.end else { return worker }
            replace(worker, end)
        }
    }

    @discardableResult
    private func begin() -> Task<Worker, any Error> {
        let task = Task { try await self.bringUp() }
        start = task
        return task
    }

    private func bringUp() async throws -> Worker {
        var attempt = 1
        while true {
            do {
                let pause = settings.pause(after: failures)
                if pause > .zero {
                    logger.info("starting again in \(pause)")
                    _ = await ending.wait(atMost: pause)
                }
                let worker = try await startOnce()
                watch(worker)
                return worker
            } catch let error as LaunchError {
                failures += 1
                if error.isFinal { failure = error }
                // A first start that exits would exit again.
                let isHopeless = error.isFinal || !(hasBeenUp || error.wasKilled)
                guard !isHopeless, attempt < settings.startAttempts else {
                    start = nil
                    if !isEnded { logger.error("not started: \(error.message)") }
                    throw error
                }
                attempt += 1
                logger.warning("not started: \(error.message)")
            } catch {
                start = nil
                throw error
            }
        }
    }

    /// Starts a process and waits until its model is loaded.
    private func startOnce() async throws -> Worker {
        if isEnded { throw LaunchError(.cancelled, "the model was terminated while it loaded.") }
        let socket = sockets.next()
        let process = try WorkerProcess(
            program: settings.program,
            arguments: launch.arguments(
                socket: socket, threads: shares.threads, device: device)
        ) { [logger] line in logger.warning("\(line)") }
        let client = WorkerClient(socket: socket)
        loading = (process, client)
        defer { loading = nil }
        let deadline = ContinuousClock.now + settings.startTimeout
        guard await process.waitUntilReady(atMost: settings.startTimeout) else {
            throw notLoaded(process)
        }
        while true {
            let status = try? await client.status(within: .seconds(5))
            if let status, status.state == .ready, !isEnded, let model = status.model {
                logger.info(
                    "Worker address: unix:\(socket)", metadata: ["pid": "\(process.pid)"])
                logger.info(
                    "Model '\(model.id)' loaded successfully with \(status.memoryBytes.preciseGigabyteText) memory usage"
                )
                logger.info(
                    "Precision \(model.precision) (\(launch.precision.reason(for: model))), kernels \(model.kernels)"
                )
                process.logLines()
                return Worker(
                    process: process, client: client, model: model, device: status.device,
                    secondsPerPixel: status.secondsPerPixel)
            }
            // It has ended, or is too busy to answer and is asked again.
            if let end = await process.waitForEnd(atMost: .milliseconds(200)) {
                sockets.remove(socket)
                if isEnded {
                    throw LaunchError(.cancelled, "the model was terminated while it loaded.")
                }
                throw LaunchError(end, saying: process.lastWords)
            }
            if ContinuousClock.now > deadline { throw notLoaded(process) }
        }
    }

    private func notLoaded(_ process: WorkerProcess) -> LaunchError {
        process.send(SIGKILL)
        return LaunchError(
            .failed,
            "the model was not loaded after \(settings.startTimeout); the server's log has what its worker wrote."
        )
    }

    private func watch(_ worker: Worker) {
        current = worker
        hasBeenUp = true
        up.store(true, ordering: .relaxed)
        watch = Task {
            let end = await worker.process.waitForEnd()
            self.replace(worker, end)
        }
    }

    /// Replaces a worker that has ended, once.
    private func replace(_ worker: Worker, _ end: ProcessEnd) {
        sockets.remove(worker.client.socket)
        guard current === worker, !isEnded else { return }
        removeWorker()
        failures = worker.isHealthy(after: settings.healthyAfter) ? 1 : failures + 1
        restarts += 1
        logger.warning(
            "ended with \(end); starting it again", metadata: ["restarts": "\(restarts)"])
        begin()
    }

    /// Ends and replaces a worker whose connection has closed in the middle of an answer, unless it answers.
    ///
    /// A process that dies may need seconds to return its memory; the next one starts meanwhile.
    func checkLost(_ worker: Worker) async {
        if let end = await worker.process.waitForEnd(atMost: .seconds(1)) {
            return replace(worker, end)
        }
        guard current === worker,
            (try? await worker.client.status(within: .seconds(2))) == nil
        else { return }
        worker.process.send(SIGKILL)
        replace(worker, .signal(worker.process.crashSignal ?? SIGKILL))
    }

    private func removeWorker() {
        current = nil
        start = nil
        up.store(false, ordering: .relaxed)
    }

    // MARK: - Ends

    /// Ends the worker after its requests; the next request starts another one.
    func unload() async {
        guard let worker = current else { return }
        removeWorker()
        failures = 0
        logger.info("unloaded: it had no requests")
        await drain(worker.process, worker.client, grace: settings.hangTimeout)
    }

    /// Ends permanently: requests may finish within the grace.
    func end(grace: Duration) async {
        isEnded = true
        ending.fulfil(())
        let worker = current.map { ($0.process, $0.client) }
        let loading = loading
        removeWorker()
        // A worker that still loads has no requests.
        loading?.process.send(SIGKILL)
        if let worker { await drain(worker.0, worker.1, grace: grace) }
        if let loading {
            _ = await loading.process.waitForEnd()
            sockets.remove(loading.client.socket)
        }
    }

    private func drain(
        _ process: WorkerProcess, _ client: WorkerClient, grace: Duration
    ) async {
        if grace > .zero {
            try? await client.drain(within: .seconds(2))
            _ = await withoutCancellation { await process.waitForEnd(atMost: grace) }
        }
        process.send(SIGKILL)
        _ = await process.waitForEnd()
        sockets.remove(client.socket)
    }

    // MARK: - Report

    /// Passes of the worker that have not been counted, and its device.
    func uncountedPasses() async -> (passes: [PassReport], device: String) {
        guard let worker = current,
            let passes = try? await worker.client.passes(
                after: worker.countedPasses, within: .seconds(2))
        else { return ([], device.argument) }
        worker.countedPasses += passes.count
        return (passes, worker.device ?? device.argument)
    }

    /// The state of the replica, with the worker's own status.
    func report(requests: Int) async -> ReplicaReport {
        let worker = current
        let process = worker?.process ?? loading?.process
        let client = worker?.client ?? loading?.client
        let status = try? await client?.status(within: .seconds(2))
        return ReplicaReport(
            name: name, address: client.map { "unix:\($0.socket)" }, pid: process?.pid,
            restarts: restarts, requests: requests, status: status)
    }
}
