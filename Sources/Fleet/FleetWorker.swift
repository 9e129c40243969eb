// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    package import Engine
    import Imaging
    package import Logging
    package import Service
    import Synchronization

    #if canImport(FoundationEssentials)
        import FoundationEssentials
    #else
        import Foundation
    #endif

    /// A worker of a fleet: takes jobs of its model, draws them, and stores what becomes of them.
    ///
    /// Two workers may draw one job, when the first was cut off: each change of a job names the attempt
    /// that it belongs to, and only the newest attempt may change anything.
    package final class FleetWorker: Sendable {
        /// A job that this worker has.
        private struct Held {
            var message: NATSMessage
            var attempt: Int
            var task: Task<Void, Never>?
        }

        private struct State {
            var held: [String: Held] = [:]
            var isDraining = false
            var finished = 0
            var lost = 0
            var window: Double
        }

        private let engine: InferenceEngine
        private let store: FleetStore
        private let settings: FleetSettings
        private let logger: Logger
        private let loadStatus: @Sendable () -> WorkerStatus
        private let host: String
        /// Unique in the fleet.
        package let name: String
        private let state: Mutex<State>

        /// A worker over a loaded engine.
        ///
        /// - Parameters:
        ///   - engine: draws.
        ///   - store: where jobs are.
        ///   - logger: told what happens to jobs.
        ///   - status: what the worker says of its process and passes.
        package init(
            engine: InferenceEngine, store: FleetStore, logger: Logger,
            status: @escaping @Sendable () -> WorkerStatus
        ) {
            self.engine = engine
            self.store = store
            settings = store.settings
            state = Mutex(State(window: store.settings.window))
            loadStatus = status
            host = ProcessInfo.processInfo.hostName
            name =
                FleetNames.token(host) + "-\(ProcessInfo.processInfo.processIdentifier)-"
                + String(UInt32.random(in: 0...UInt32.max), radix: 36)
            var logger = logger
            logger[metadataKey: "worker"] = .string(name)
            self.logger = logger
        }

        private var model: ModelDescription { engine.description }

        // MARK: - Life

        /// Takes no more jobs; `run` returns when those that it has are done, or given back after the
        /// grace.
        package func drain() { state.withLock { $0.isDraining = true } }

        private var isDraining: Bool { state.withLock { $0.isDraining } }

        /// Works until it is drained.
        ///
        /// - Parameter grace: what the jobs in work may take when it is drained.
        /// - Throws: `NATSError` when its queue cannot be joined.
        package func run(grace: Duration) async throws {
            try await persist { try await self.store.ensureQueue(of: self.model.id) }
            let consumer = try await persist {
                try await self.store.connection.blocking { [self] in
                    try PullConsumer(
                        store.connection, stream: FleetNames.queue(model.id),
                        subject: FleetNames.queueSubject(model.id), window: settings.window)
                }
            }
            state.withLock { $0.window = consumer.window }
            let cancels = try store.connection.subscribe(FleetNames.cancel("*")) {
                [weak self] subject, _ in
                self?.stop(String(subject.split(separator: ".").last ?? ""))
            }
            let signs = Task { await self.tellOfLife() }
            logger.info("takes jobs", metadata: ["model": "\(model.id)"])
            await take(from: consumer)
            await finish(grace)
            signs.cancel()
            await signs.value
            withExtendedLifetime(cancels) {}
            try? await store.workers.remove(name)
            store.connection.close()
        }

        private func take(from consumer: PullConsumer) async {
            var isAway = false
            while !isDraining {
                let busy = state.withLock { $0.held.count }
                guard busy < settings.running else {
                    try? await Task.sleep(for: .milliseconds(20))
                    continue
                }
                do {
                    // One that has work leaves a new job to those that have none.
                    if busy > 0 { try await Task.sleep(for: .milliseconds(10 * busy)) }
                    if let message = try await consumer.next(within: busy == 0 ? 2 : 0.05) {
                        await accept(message)
                    }
                    isAway = false
                } catch {
                    if !isAway {
                        logger.warning("no jobs come", metadata: ["error": "\(error)"])
                    }
                    isAway = true
                    try? await Task.sleep(for: .milliseconds(500))
                }
            }
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
                _ = try? await store.change(id) { $0.givenBack(attempt: held.attempt) }
                held.message.giveBack()
                logger.info("gave a job back", metadata: ["job": "\(id)"])
            }
        }

        /// Tells who it is and how it does, until it is cancelled.
        private func tellOfLife() async {
            var tellModel = ContinuousClock.now
            while !Task.isCancelled {
                let (held, finished, lost, isDraining) = state.withLock {
                    ($0.held.count, $0.finished, $0.lost, $0.isDraining)
                }
                var status = loadStatus()
                if isDraining { status.state = .draining }
                let sign = WorkerSign(
                    name: name, host: host, version: version, status: status, jobs: held,
                    capacity: settings.running, loras: engine.loras.entries.map(\.name),
                    finished: finished, lost: lost)
                do {
                    if ContinuousClock.now >= tellModel {
                        // Known for an hour after the last worker has gone.
                        try await store.models.set(
                            FleetNames.token(model.id), [UInt8](try JSONEncoder().encode(model)))
                        tellModel = .now + .seconds(300)
                    }
                    try await store.workers.set(name, [UInt8](try JSONEncoder().encode(sign)))
                } catch {
                    logger.debug("no sign of life", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(settings.presence))
            }
        }

        // MARK: - Jobs

        /// Begins work on the job of a message, where there is any to do.
        private func accept(_ message: NATSMessage) async {
            guard let told = try? FleetJob.decode(message.bytes) else {
                logger.error("a message in the queue is no job; it is thrown away")
                message.acknowledge()
                return
            }
            let isMine = state.withLock { state in
                // After an interruption the server sends again what it thinks lost.
                guard state.held[told.id] != nil else { return false }
                state.held[told.id]?.message = message
                return true
            }
            guard !isMine else { return }
            do {
                guard let job = try await begin(told) else {
                    message.acknowledge()
                    return
                }
                state.withLock {
                    $0.held[job.id] = Held(message: message, attempt: job.attempts)
                }
                let task = Task { await self.work(job) }
                state.withLock { $0.held[job.id]?.task = task }
            } catch {
                logger.warning(
                    "a job is given back", metadata: ["job": "\(told.id)", "error": "\(error)"])
                message.giveBack(after: 500)
            }
        }

        /// The job with one attempt more, or `nil` when nothing is to be done for it.
        private func begin(_ told: FleetJob) async throws -> FleetJob? {
            let now = FleetStore.now
            let (name, limit) = (name, settings.attempts)
            let outcome = try await store.change(told.id, base: told) { job in
                if let deadline = job.deadline, deadline <= now {
                    return job.ended(
                        .cancelled, FleetQueue.overdue, isOverdue: true, at: now)
                }
                return job.begun(by: name, at: now, limit: limit)
                    ?? job.ended(.failed, Self.givenUp(job), at: now)
            }
            guard let (job, isChanged) = outcome, isChanged else { return nil }
            if job.state == .running {
                logger.info("begins", metadata: ["job": "\(job.id)", "attempt": "\(job.attempts)"])
                return job
            }
            if job.state == .failed {
                logger.error("a job is given up", metadata: ["job": "\(job.id)"])
                _ = try? await store.connection.store(
                    FleetNames.dead(job.model), try job.encoded, id: job.id)
            }
            return nil
        }

        private static func givenUp(_ job: FleetJob) -> String {
            "The worker ended \(job.attempts) times while it drew this request; try again later."
        }

        /// Somebody has cancelled a job.
        private func stop(_ id: String) {
            state.withLock { $0.held[id]?.task }?.cancel()
        }

        private func work(_ job: FleetJob) async {
            let keeper = Task { await self.keepAlive(job) }
            let failure: (any Error)?
            do {
                try await draw(job)
                failure = nil
            } catch {
                failure = error
            }
            // What a cancelled task does is cancelled; a new one can tell.
            await Task { await self.conclude(job, failure) }.value
            keeper.cancel()
        }

        /// Says that work goes on for as long as it does, and notices when it is no longer wanted.
        private func keepAlive(_ job: FleetJob) async {
            var (pulse, moved) = (engine.pulse, ContinuousClock.now)
            while true {
                do { try await Task.sleep(for: .seconds(state.withLock { $0.window } / 3)) } catch {
                    return
                }
                if engine.pulse != pulse { (pulse, moved) = (engine.pulse, .now) }
                guard ContinuousClock.now - moved < .seconds(settings.hangTimeout) else {
                    logger.error("the engine stands still", metadata: ["job": "\(job.id)"])
                    return
                }
                state.withLock { $0.held[job.id]?.message }?.keepAlive()
                // The word to cancel may have been lost.
                if let now = try? await store.job(job.id)?.job,
                    now.state != .running || now.attempts != job.attempts
                {
                    stop(job.id)
                }
            }
        }

        private func draw(_ job: FleetJob) async throws {
            let done = job.leading
            guard done < job.request.count else { return }
            var request = job.request
            if job.source != nil {
                let source = try await persist { try await self.store.source(of: job) }
                request = request.starting(from: source)
            }
            tell(.started, of: job, 0)
            var number = 1
            for try await event in engine.events(
                for: request.dropping(first: done), model: model.id)
            {
                switch event {
                case .queued, .started: break
                case .step(let image, let step, let steps, let seconds):
                    tell(
                        .step(image: image + done, step: step, steps: steps, seconds: seconds),
                        of: job, number)
                case .preview(let image, let step, let picture):
                    tell(.preview(image: image + done, step: step, picture), of: job, number)
                case .image(var image):
                    image.index += done
                    try await keep(image, of: job, request)
                }
                number += 1
            }
            // A cancelled iteration ends without an error.
            try Task.checkCancellation()
        }

        /// Tells whoever listens; nobody waits for it.
        private func tell(_ event: JobEvent, of job: FleetJob, _ number: Int) {
            guard let frame = try? EventBytes.encode(event) else { return }
            for part in EventParts.cut(
                frame, attempt: job.attempts, number: number, limit: NATSConnection.messageLimit)
            {
                try? store.connection.publish(FleetNames.events(job.id), part)
            }
        }

        /// Stores a finished picture, and the job with it.
        private func keep(
            _ image: GeneratedImage, of job: FleetJob, _ request: ImageRequest
        ) async throws {
            let metadata = ImageMetadata(
                parameters: GenerationParameters(
                    request: request, image: image, model: model
                ).text)
            let png = try ImageEncoder.encode(image.image, metadata: metadata)
            let outcome = try await persist {
                let file = try await self.store.keep(png)
                let picture = FleetJob.Picture(
                    index: image.index, seed: image.seed, pixelDigest: image.pixelDigest,
                    file: file, promptTruncated: image.promptTruncated, seconds: image.seconds,
                    loras: image.loras)
                return try await self.store.change(job.id) {
                    $0.adding(picture, attempt: job.attempts, at: FleetStore.now)
                }
            }
            guard let outcome else { throw Superseded() }
            let isKept = outcome.job.pictures.contains { $0.index == image.index }
            guard isKept, outcome.job.attempts == job.attempts else { throw Superseded() }
        }

        /// Another worker has the job now, or nobody wants it any longer.
        private struct Superseded: Error {}

        /// Answers for the message of a job that is over for this worker.
        private func conclude(_ job: FleetJob, _ failure: (any Error)?) async {
            var isDone = true
            switch failure {
            case nil: break
            case is Superseded, is CancellationError:
                // Whoever cancelled it has written so; or it is given back when this worker ends.
                let known = try? await persist { try await self.store.job(job.id)?.job }
                isDone = known.flatMap { $0 }.map { $0.state.isFinal } ?? false
                if !isDone, !isDraining { state.withLock { $0.lost += 1 } }
            case .some(let error):
                _ = try? await persist {
                    try await self.store.change(job.id) { known in
                        known.attempts == job.attempts
                            ? known.ended(.failed, "\(error)", at: FleetStore.now) : nil
                    }
                }
            }
            let message = state.withLock { state in
                if isDone || !state.isDraining {
                    if failure == nil { state.finished += 1 }
                    return state.held.removeValue(forKey: job.id)?.message
                }
                return nil
            }
            // The message of another one's job is his to answer for.
            if isDone { message?.acknowledge() }
        }

        /// Repeats what fails because NATS is away.
        private func persist<Value: Sendable>(
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
