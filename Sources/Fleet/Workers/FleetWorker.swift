// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Catalog
    import Engine
    import Imaging
    package import Logging
    import Service
    import Synchronization

    import Foundation

    /// A worker of a fleet: fetches jobs of its model, runs them and stores their images.
    ///
    /// Two workers may run one job, when the first has lost its connection: each change of a job names
    /// the attempt that it belongs to, and only the newest attempt may change anything.
    package final class FleetWorker: Sendable {
        /// A job that this worker has.
        struct Held {
            var message: NATSMessage
            /// As this worker has written it last.
            var known: JobRevision
            var task: Task<Void, Never>?
        }

        struct State {
            var held: [String: Held] = [:]
            /// Messages that are being examined.
            var arriving = 0
            var scheduler = FairScheduler()
            /// Its last reported status.
            var status: WorkerStatus?
            var isDraining = false
            var finished = 0
            var lost = 0
            var window: Double
        }

        let engine: FleetEngine
        let store: FleetStore
        let settings: FleetSettings
        let logger: Logger
        private let host: String
        /// Unique in the fleet.
        package let name: String
        let state: Mutex<State>
        /// Notified when a place becomes free, a fetch begins or ends, or the worker is drained.
        let changes = ChangeSignal()
        /// All workers of the fleet.
        let heartbeats: WorkerHeartbeats
        let clock: any Clock<Duration>

        /// A worker over a loaded engine.
        ///
        /// - Parameters:
        ///   - engine: Generates.
        ///   - store: The queue of the fleet.
        ///   - clock: Measures pauses.
        ///   - logger: Receives what happens to jobs.
        package init(
            engine: FleetEngine, store: FleetStore,
            clock: any Clock<Duration> = ContinuousClock(), logger: Logger
        ) {
            self.engine = engine
            self.store = store
            settings = store.settings
            state = Mutex(State(window: store.settings.window))
            self.clock = clock
            heartbeats = WorkerHeartbeats(store)
            host = ProcessInfo.processInfo.hostName
            name =
                FleetNames.token(host) + "-\(ProcessInfo.processInfo.processIdentifier)-"
                + String(UInt32.random(in: 0...UInt32.max), radix: 36)
            var logger = logger
            logger[metadataKey: "worker"] = .string(name)
            self.logger = logger
        }

        var model: ModelDescription { engine.model }

        /// Fetches no more jobs; `run` returns when those that it has are done, or returned to the queue
        /// after the grace.
        package func drain() { changeState { $0.isDraining = true } }

        var isDraining: Bool { state.withLock { $0.isDraining } }

        /// Changes the state and wakes the tasks that wait for a change.
        func changeState<Value>(_ change: (inout State) -> sending Value) -> sending Value {
            defer { changes.notify() }
            return state.withLock { change(&$0) }
        }

        /// Runs jobs until the worker is drained.
        ///
        /// - Parameter grace: Time that the jobs in work may take when it is drained.
        /// - Throws: `NATSError` when its queue cannot be joined.
        package func run(grace: Duration) async throws {
            var consumers: [Priority: PullConsumer] = [:]
            for priority in Priority.allCases {
                consumers[priority] = try await persist {
                    try await self.store.ensureQueue(of: self.model.id, priority)
                    return try await self.store.connection.blocking { [self] in
                        try PullConsumer(
                            store.connection, stream: FleetNames.queue(model.id, priority),
                            subject: FleetNames.queueSubject(model.id, priority),
                            window: settings.window)
                    }
                }
            }
            let window = consumers.values.map(\.window).min() ?? settings.window
            state.withLock { $0.window = window }
            let cancels = try store.connection.subscribe(FleetNames.cancel("*")) {
                [weak self] subject, _ in
                self?.cancel(String(subject.split(separator: ".").last ?? ""))
            }
            let heartbeat = Task { await self.sendHeartbeats() }
            logger.info("takes jobs", metadata: ["model": "\(model.id)"])
            await withTaskGroup(of: Void.self) { group in
                for (priority, consumer) in consumers {
                    group.addTask { await self.fetch(priority, from: consumer) }
                }
            }
            await finish(within: grace)
            heartbeat.cancel()
            await heartbeat.value
            withExtendedLifetime(cancels) {}
            try? await store.workers.remove(name)
        }

        /// Waits for the jobs that it has, and returns those that are not done to the queue.
        private func finish(within grace: Duration) async {
            let end = ContinuousClock.now + grace
            while !Task.isCancelled, ContinuousClock.now < end {
                let change = changes.next
                if state.withLock({ $0.held.isEmpty }) { break }
                _ = await change.wait(atMost: end - ContinuousClock.now, clock: clock)
            }
            let left = state.withLock { $0.held }
            for (id, held) in left {
                held.task?.cancel()
                await held.task?.value
                let attempt = held.known.job.attempts
                _ = try? await store.change(id) { $0.returned(attempt: attempt) }
                held.message.returnToQueue()
                logger.info("gave a job back", metadata: ["job": "\(id)"])
            }
        }

        /// Writes heartbeats at equal intervals until it is cancelled.
        private func sendHeartbeats() async {
            var modelIsDue = ContinuousClock.now
            var isFailing = false
            while !Task.isCancelled {
                var status = await engine.status()
                status.model = status.model?.withoutWords
                let (held, finished, lost, isDraining) = state.withLock { state in
                    state.status = status
                    return (state.held.count, state.finished, state.lost, state.isDraining)
                }
                if isDraining { status.state = .draining }
                let heartbeat = WorkerHeartbeat(
                    name: name, host: host, version: version, status: status, jobs: held,
                    capacity: engine.capacity,
                    loras: engine.loras.offers,
                    finished: finished, lost: lost)
                do {
                    if ContinuousClock.now >= modelIsDue {
                        // Known for an hour after the last worker has gone.
                        try await store.models.set(
                            FleetNames.token(model.id), [UInt8](try JSONEncoder().encode(model)))
                        modelIsDue = .now + .seconds(300)
                    }
                    try await store.workers.set(name, [UInt8](try JSONEncoder().encode(heartbeat)))
                    isFailing = false
                } catch {
                    if !isFailing {
                        logger.warning("heartbeat failed", metadata: ["error": "\(error)"])
                    }
                    isFailing = true
                }
                try? await clock.sleep(for: .seconds(settings.presence))
            }
        }

        /// Repeats what fails because NATS is away.
        func persist<Value: Sendable>(
            _ body: @Sendable () async throws -> Value
        ) async throws -> Value {
            var policy = RetryPolicy(
                pause: .milliseconds(200), limit: .seconds(settings.storageTimeout))
            policy.clock = clock
            // A server that starts answers before its streams are there.
            return try await policy.run(
                while: { error in
                    let codes: [NATSError.Code] = [.unreachable, .failed, .notFound]
                    return (error as? NATSError).map { codes.contains($0.code) } ?? false
                }, body)
        }
    }
#endif
