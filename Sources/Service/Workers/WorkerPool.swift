// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Engine
package import Foundation
import Imaging
package import Logging
import ModelFiles
import Tensors
import ZImage

/// Launches models, each in processes of its own, and runs requests on them.
///
/// A worker that ends is replaced; its requests are run again on the next one, and their clients
/// observe a delay.
package actor WorkerPool: ImageGenerating, ModelListing {
    /// A model and its workers.
    struct Served {
        let serial: Int
        let id: String
        let launch: ModelLaunch
        /// Memory of one worker; 0 on a GPU.
        let workerBytes: Int
        var replicas: [Replica]
        /// Requests of each replica, by its name.
        var requests: [String: Int] = [:]
        /// Number of the newest replica.
        var lastNumber: Int
        /// Known once the model was loaded.
        var model: ModelDescription?
        /// Memory of the GPU of its worker with the least, as of the last report.
        var deviceMemory: DeviceMemoryUse?
        /// All requests so far: unloading checks that none has arrived meanwhile.
        var arrivals = 0
        /// Memory of all workers.
        var bytes: Int { workerBytes * replicas.count }
    }

    /// Forecasts of requests, made without asking a worker.
    let forecasters = ForecasterCache()
    let settings: WorkerSettings
    let metrics: EngineMetrics?
    private let logger: Logger
    let sockets: SocketFolder
    let shares: ProcessorShares
    /// In the order of their launch.
    var served: [Served] = []
    /// Counts passes while there are models.
    private var counting: Task<Void, Never>?
    /// The newest count; each waits for the one before.
    var lastCount: Task<Void, Never>?
    private var serials = 0
    /// Unload models without requests, by the serial number of the launch.
    private var idleTimers: [Int: Task<Void, any Error>] = [:]
    /// Notified when a model is loaded or terminated, or gets more or fewer workers.
    package nonisolated let changes = ChangeSignal()
    /// Set when the first model is loaded.
    private let firstModel = Promise<Void>()
    /// Bytes of models that are being terminated.
    var leavingBytes = 0

    /// A pool without models.
    ///
    /// - Parameters:
    ///   - settings: how workers are started and watched.
    ///   - metrics: Count loaded models and the passes of their workers.
    ///   - logger: receives what happens to them.
    /// - Throws: `LaunchError` where no folder for sockets can be made.
    package init(
        settings: WorkerSettings, metrics: EngineMetrics? = nil, logger: Logger
    ) throws {
        self.settings = settings
        self.metrics = metrics
        self.logger = logger
        sockets = try SocketFolder(in: settings.temporaryFolder)
        shares = ProcessorShares(expected: settings.expectedWorkers)
    }

    // MARK: - Models

    /// The models that were loaded; the one that was launched first is the default.
    package var models: [ModelDescription] { served.compactMap(\.model) }

    /// Waits until a model is loaded for the first time.
    ///
    /// - Throws: `CancellationError`.
    package nonisolated func waitForModels() async throws {
        guard await firstModel.wait() != nil else { throw CancellationError() }
    }

    /// Launches a model and waits until all its workers are ready.
    ///
    /// - Throws: `LaunchError`, `CheckpointError`.
    @discardableResult
    package func launch(_ launch: ModelLaunch) async throws -> ModelDescription {
        let start = ContinuousClock.now
        // Headers of files of weights have up to 100 MB.
        let (ownID, bytes) = try await WorkThreads.disk.run {
            let directory = try ModelDirectory(url: launch.folder)
            let plan = try MemoryPlan(
                model: directory,
                precision: try launch.precision.resolved(
                    for: directory, isOnGPU: launch.isOnGPU))
            // The memory of a GPU is not that of the budget.
            return (
                directory.manifest.id,
                launch.isOnGPU ? 0 : plan.residentBytes + plan.activationBytes
            )
        }
        let id = launch.id ?? ownID
        guard !served.contains(where: { $0.id == id }) else {
            throw LaunchError(
                .alreadyLaunched,
                "the model '\(id)' is launched already; terminate it first, or give this one another"
                    + " id.")
        }
        try checkBudget(id, bytes, launch.replicas)
        serials += 1
        let serial = serials
        let replicas = try launch.devices(for: max(1, launch.replicas), beside: []).enumerated().map
        {
            replica($0 + 1, of: id, launch, device: $1)
        }
        served.append(
            Served(
                serial: serial, id: id, launch: launch, workerBytes: bytes, replicas: replicas,
                lastNumber: replicas.count))
        shares.add(replicas.count)
        do {
            let worker = try await Self.startAll(replicas)
            var model = worker.model
            guard let index = served.firstIndex(where: { $0.serial == serial }) else {
                throw LaunchError(.cancelled, "the model was terminated while it loaded.")
            }
            model.id = id
            served[index].model = model
            firstModel.fulfil(())
            changes.notify()
            metrics?.modelLoaded(
                model, seconds: (ContinuousClock.now - start) / .seconds(1),
                loras: launch.loras.count)
            if let seconds = worker.secondsPerPixel {
                metrics?.expect(secondsPerPixel: seconds, of: id)
            }
            startCounting()
            planUnloading(index)
            return model
        } catch {
            if let index = served.firstIndex(where: { $0.serial == serial }) {
                await remove(at: index, grace: .zero)
            }
            throw error
        }
    }

    /// Models by name, their folders and workers, and whether they are loaded.
    package var launched: [(id: String, folder: URL, replicas: Int, isLoaded: Bool)] {
        served.map { ($0.id, $0.launch.folder, $0.replicas.count, $0.model != nil) }
    }

    func replica(
        _ number: Int, of id: String, _ launch: ModelLaunch, device: DeviceSelection
    ) -> Replica {
        Replica(
            name: "\(id)/\(number)", device: device, launch: launch, settings: settings,
            sockets: sockets,
            shares: shares, logger: logger)
    }

    @discardableResult
    static func startAll(_ replicas: [Replica]) async throws -> Worker {
        try await withThrowingTaskGroup(of: Worker.self) { group in
            for replica in replicas { group.addTask { try await replica.worker() } }
            guard let first = try await group.next() else {
                throw LaunchError(.usage, "a model needs at least one worker.")
            }
            try await group.waitForAll()
            return first
        }
    }

    func checkBudget(_ id: String, _ bytes: Int, _ replicas: Int) throws {
        guard let budget = settings.memoryBudget else { return }
        let free = max(0, budget - leavingBytes - served.reduce(0) { $0 + $1.bytes })
        guard bytes * max(1, replicas) > free else { return }
        let workers = replicas == 1 ? "" : " for each of \(replicas) workers"
        throw LaunchError(
            .overBudget,
            "the model '\(id)' needs about \(bytes.preciseGigabyteText) of memory\(workers), but of the budget"
                + " of \(budget.preciseGigabyteText) only \(free.preciseGigabyteText) are left; terminate another"
                + " model, or raise --memory-budget.")
    }

    /// Terminates a model: it takes no more requests, and ends after those that it has.
    ///
    /// - Parameters:
    ///   - id: its name for requests.
    ///   - grace: Time for its requests; afterwards they fail.
    /// - Throws: `LaunchError` when there is no such model.
    package func terminate(_ id: String, grace: Duration = .seconds(30)) async throws {
        guard let index = served.firstIndex(where: { $0.id == id }) else {
            throw LaunchError(
                .notLaunched, "there is no model '\(id)' to terminate; GET /v1/models lists all.")
        }
        await remove(at: index, grace: grace)
        metrics?.modelTerminated(id)
        logger.info("model '\(id)' terminated")
    }

    /// Terminates all models; the pool cannot be used afterwards.
    package func shutdown(grace: Duration = .seconds(5)) async {
        counting?.cancel()
        for timer in idleTimers.values { timer.cancel() }
        await countPasses()
        let all = served
        served = []
        await Self.end(all.flatMap(\.replicas), grace: grace)
        sockets.remove()
    }

    private func remove(at index: Int, grace: Duration) async {
        let entry = served.remove(at: index)
        idleTimers.removeValue(forKey: entry.serial)?.cancel()
        changes.notify()
        leavingBytes += entry.bytes
        await countPasses(of: [entry])
        await Self.end(entry.replicas, grace: grace)
        leavingBytes -= entry.bytes
        shares.add(-entry.replicas.count)
    }

    private func startCounting() {
        guard metrics != nil, counting == nil else { return }
        counting = Task { [weak self] in
            while !Task.isCancelled {
                // Passes of the last second before a worker's end are not counted.
                try? await Task.sleep(for: .seconds(1))
                await self?.countPasses()
            }
        }
    }

    /// What is launched, asked of all workers.
    package func report() async -> [ModelReport] {
        let entries = served
        var reports: [ModelReport] = []
        for entry in entries {
            var replicas: [ReplicaReport] = []
            for replica in entry.replicas {
                replicas.append(
                    await replica.report(requests: entry.requests[replica.name, default: 0]))
            }
            record(replicas, of: entry.serial)
            reports.append(
                ModelReport(
                    id: entry.id, model: entry.model, reservedBytes: entry.bytes,
                    replicas: replicas))
        }
        return reports
    }

    // MARK: - Requests

    /// Runs a request as `ImageGenerating` says.
    ///
    /// A request that loses its worker is reported as queued again.
    package nonisolated func events(for request: ImageRequest, model: String) -> JobEventStream {
        JobEventStream { feed in
            try await self.run(request, model: model) { feed.yield($0) }
        }
    }

    private func run(
        _ request: ImageRequest, model id: String,
        report: @escaping @Sendable (JobEvent) -> Void
    ) async throws {
        let delivery = Delivery(request)
        var losses = 0
        var device: DeviceSelection?
        repeat {
            let place = try claim(id, on: device)
            defer { release(place) }
            var worker: Worker?
            do {
                if !place.replica.isUp { report(.queued(position: place.before)) }
                let ready = try await place.replica.worker()
                worker = ready
                try Task.checkCancellation()
                let leading = delivery.leading
                try await ready.run(
                    request.dropping(first: leading), hangTimeout: settings.hangTimeout
                ) { event in
                    if let event = delivery.accept(event, leading: leading) { report(event) }
                }
                return
            } catch let error as LaunchError {
                // Its worker was taken away; the model has others.
                if error.code == .cancelled, hasLost(place) { continue }
                throw error.code == .cancelled
                    ? GenerationError(.notLoaded, "the model '\(id)' was terminated.")
                    : GenerationError(
                        .workerLost, "the model '\(id)' cannot be loaded again: \(error.message)")
            } catch let lost as WorkerLost {
                try Task.checkCancellation()
                losses += 1
                // Another kind of device would generate other bytes than those that were delivered.
                device = delivery.hasImages ? place.replica.device : nil
                logger.warning(
                    "request lost its worker: \(lost)",
                    metadata: [
                        "worker": .string(place.replica.name), "losses": .stringConvertible(losses),
                    ])
                guard losses <= settings.reruns || delivery.isComplete else {
                    throw GenerationError(
                        .workerLost,
                        "the worker ended \(losses) times while it drew this request; try again"
                            + " later.")
                }
                // The connection closes a moment before the process is known to be dead.
                if let worker { await place.replica.checkLost(worker) }
            }
        } while !delivery.isComplete
    }

    /// A request's place at a replica.
    private struct Place {
        let serial: Int
        let replica: Replica
        /// Requests that the replica had already.
        let before: Int
    }

    /// Chooses the replica that has fewest requests: one on `device` before others, then one that is up.
    private func claim(
        _ id: String, on device: DeviceSelection?
    ) throws(GenerationError) -> Place {
        guard let entry = served.firstIndex(where: { $0.id == id }), served[entry].model != nil
        else {
            let known = models.map { "'\($0.id)'" }.joined(separator: ", ")
            throw GenerationError(
                .notLoaded,
                "the model '\(id)' is not loaded; \(known.isEmpty ? "none" : known) is.")
        }
        let (replicas, requests) = (served[entry].replicas, served[entry].requests)
        let limits = served[entry].launch.limits
        let total = requests.values.reduce(0, +)
        guard total < replicas.count * (limits.running + limits.waiting) else {
            throw GenerationError(
                .busy,
                "\(total) requests are in work or waiting already; try again in a moment.")
        }
        func rank(_ replica: Replica) -> (Int, Int, Int) {
            let isElsewhere = device != nil && replica.device != device
            return (isElsewhere ? 1 : 0, replica.isUp ? 0 : 1, requests[replica.name, default: 0])
        }
        let replica = replicas.min { rank($0) < rank($1) } ?? replicas[0]
        served[entry].requests[replica.name, default: 0] += 1
        served[entry].arrivals += 1
        idleTimers.removeValue(forKey: served[entry].serial)?.cancel()
        return Place(
            serial: served[entry].serial, replica: replica,
            before: requests[replica.name, default: 0])
    }

    /// Whether the model is there, but without the replica.
    private func hasLost(_ place: Place) -> Bool {
        served.contains { entry in
            entry.serial == place.serial && !entry.replicas.contains { $0 === place.replica }
        }
    }

    private func release(_ place: Place) {
        guard let entry = served.firstIndex(where: { $0.serial == place.serial }) else { return }
        served[entry].requests[place.replica.name, default: 0] -= 1
        planUnloading(entry)
    }

    // MARK: - Idle models

    /// Ends the workers of a model without requests if none comes for a while.
    private func planUnloading(_ entry: Int) {
        guard let idle = settings.idleUnload, served[entry].requests.values.allSatisfy({ $0 == 0 })
        else { return }
        let (serial, arrivals) = (served[entry].serial, served[entry].arrivals)
        idleTimers[serial]?.cancel()
        idleTimers[serial] = Task { [weak self] in
            try await Task.sleep(for: idle)
            await self?.unload(serial, after: arrivals)
        }
    }

    private func unload(_ serial: Int, after arrivals: Int) async {
        idleTimers[serial] = nil
        guard let entry = served.firstIndex(where: { $0.serial == serial }),
            served[entry].arrivals == arrivals
        else { return }
        for replica in served[entry].replicas { await replica.unload() }
    }
}
