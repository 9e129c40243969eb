// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Imaging
    package import Logging
    import Service
    import Synchronization

    import Foundation

    /// A worker of a fleet: takes jobs of its model, draws them, and stores what becomes of them.
    ///
    /// Two workers may draw one job, when the first was cut off: each change of a job names the attempt
    /// that it belongs to, and only the newest attempt may change anything.
    package final class FleetWorker: Sendable {
        /// A job that this worker has.
        struct Held {
            var message: NATSMessage
            /// As this worker has written it last.
            var known: FleetStore.Revision
            var task: Task<Void, Never>?
        }

        struct State {
            var held: [String: Held] = [:]
            /// Messages that are looked at.
            var arriving = 0
            var turns = Turns()
            /// What it said of itself last.
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
        /// All workers of the fleet.
        let signs: WorkerSigns

        /// A worker over a loaded engine.
        ///
        /// - Parameters:
        ///   - engine: draws.
        ///   - store: where jobs are.
        ///   - logger: told what happens to jobs.
        package init(engine: FleetEngine, store: FleetStore, logger: Logger) {
            self.engine = engine
            self.store = store
            settings = store.settings
            state = Mutex(State(window: store.settings.window))
            signs = WorkerSigns(store)
            host = ProcessInfo.processInfo.hostName
            name =
                FleetNames.token(host) + "-\(ProcessInfo.processInfo.processIdentifier)-"
                + String(UInt32.random(in: 0...UInt32.max), radix: 36)
            var logger = logger
            logger[metadataKey: "worker"] = .string(name)
            self.logger = logger
        }

        var model: ModelDescription { engine.model }

        /// Takes no more jobs; `run` returns when those that it has are done, or given back after the
        /// grace.
        package func drain() { state.withLock { $0.isDraining = true } }

        var isDraining: Bool { state.withLock { $0.isDraining } }

        /// Works until it is drained.
        ///
        /// - Parameter grace: what the jobs in work may take when it is drained.
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
                self?.stop(String(subject.split(separator: ".").last ?? ""))
            }
            let signs = Task { await self.tellOfLife() }
            logger.info("takes jobs", metadata: ["model": "\(model.id)"])
            await withTaskGroup(of: Void.self) { group in
                for (priority, consumer) in consumers {
                    group.addTask { await self.take(priority, from: consumer) }
                }
            }
            await finish(grace)
            signs.cancel()
            await signs.value
            withExtendedLifetime(cancels) {}
            try? await store.workers.remove(name)
        }

        private func finish(_ grace: Duration) async {
            let end = ContinuousClock.now + grace
            while state.withLock({ !$0.held.isEmpty }), ContinuousClock.now < end {
                try? await Task.sleep(for: .milliseconds(20))
            }
            let left = state.withLock { $0.held }
            for (id, held) in left {
                held.task?.cancel()
                await held.task?.value
                let attempt = held.known.job.attempts
                _ = try? await store.change(id) { $0.givenBack(attempt: attempt) }
                held.message.giveBack()
                logger.info("gave a job back", metadata: ["job": "\(id)"])
            }
        }

        /// Tells who it is and how it does, until it is cancelled.
        private func tellOfLife() async {
            var tellModel = ContinuousClock.now
            var isUnheard = false
            while !Task.isCancelled {
                var status = await engine.status()
                let (held, finished, lost, isDraining) = state.withLock { state in
                    state.status = status
                    return (state.held.count, state.finished, state.lost, state.isDraining)
                }
                if isDraining { status.state = .draining }
                let sign = WorkerSign(
                    name: name, host: host, version: version, status: status, jobs: held,
                    capacity: engine.capacity,
                    loras: engine.loras.offers,
                    finished: finished, lost: lost)
                do {
                    if ContinuousClock.now >= tellModel {
                        // Known for an hour after the last worker has gone.
                        try await store.models.set(
                            FleetNames.token(model.id), [UInt8](try JSONEncoder().encode(model)))
                        tellModel = .now + .seconds(300)
                    }
                    try await store.workers.set(name, [UInt8](try JSONEncoder().encode(sign)))
                    isUnheard = false
                } catch {
                    if !isUnheard {
                        logger.warning("no sign of life", metadata: ["error": "\(error)"])
                    }
                    isUnheard = true
                }
                try? await Task.sleep(for: .seconds(settings.presence))
            }
        }

        /// Repeats what fails because NATS is away.
        func persist<Value: Sendable>(
            _ body: @Sendable () async throws -> Value
        ) async throws -> Value {
            let end = ContinuousClock.now + .seconds(settings.patience)
            while true {
                do {
                    return try await body()
                } catch let error as NATSError {
                    // A server that starts answers before its streams are there.
                    guard [.unreachable, .failed, .notFound].contains(error.code),
                        ContinuousClock.now < end
                    else { throw error }
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
        }
    }
#endif
