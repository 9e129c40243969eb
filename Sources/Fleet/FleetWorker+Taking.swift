// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    package import Engine
    import Logging
    import Service
    import Synchronization

    /// Whose turn it is among the priorities of a worker's queues.
    package struct Turns {
        package init() {}

        /// Jobs that went before one of this priority since it last had its turn.
        private var overtaken: [Priority: Int] = [:]
        /// Queues that are known to be empty, and whose next job is waited for.
        private var isEmpty: Set<Priority> = []
        /// Waits so long that nobody else may take anything.
        private var due: Priority?
        private static let patience = 4

        /// Whether a job of this priority may be asked for.
        package func mayBegin(_ priority: Priority) -> Bool {
            if let due { return due == priority }
            return Priority.allCases.allSatisfy { $0 <= priority || isEmpty.contains($0) }
        }

        /// There is none now.
        ///
        /// - Returns: how long one may be waited for, in seconds; `nil` where others wait for the end of
        ///   its turn.
        package mutating func noteEmpty(_ priority: Priority, isBusy: Bool) -> Double? {
            guard due != priority else { return nil }
            isEmpty.insert(priority)
            return isBusy ? 0.05 : 2
        }

        /// It was asked for, and came or did not.
        package mutating func end(_ priority: Priority, hasCome: Bool) {
            isEmpty.remove(priority)
            overtaken[priority] = 0
            if due == priority { due = nil }
            guard hasCome else { return }
            // Who is waiting for a job has none.
            for other in Priority.allCases where other < priority && !isEmpty.contains(other) {
                overtaken[other, default: 0] += 1
                if overtaken[other, default: 0] >= Self.patience, due == nil { due = other }
            }
        }
    }

    extension FleetWorker {
        /// Takes jobs of one priority until the worker is drained.
        func take(_ priority: Priority, from consumer: PullConsumer) async {
            var isAway = false
            while !isDraining {
                let busy = state.withLock { $0.held.count }
                let isBesideOthers = !others.isEmpty
                // A worker that has work leaves a new job to those that have none.
                if busy > 0, busy < engine.capacity, isBesideOthers {
                    try? await Task.sleep(for: .milliseconds(10 * busy))
                }
                let mayBegin = state.withLock { state in
                    state.held.count + state.arriving < engine.capacity
                        && state.turns.mayBegin(priority)
                }
                guard mayBegin else {
                    try? await Task.sleep(for: .milliseconds(5))
                    continue
                }
                do {
                    // A queue that has jobs answers faster than this.
                    var message = try await consumer.next(within: 0.004)
                    if message == nil {
                        let wait = state.withLock {
                            $0.turns.noteEmpty(
                                priority, isBusy: isBesideOthers && !$0.held.isEmpty)
                        }
                        if let wait { message = try await consumer.next(within: wait) }
                    }
                    state.withLock { $0.turns.end(priority, hasCome: message != nil) }
                    if let message { await accept(message) }
                    isAway = false
                } catch {
                    state.withLock { $0.turns.end(priority, hasCome: false) }
                    if !isAway {
                        logger.warning("no jobs come", metadata: ["error": "\(error)"])
                    }
                    isAway = true
                    try? await Task.sleep(for: .milliseconds(500))
                }
            }
        }

        private var others: [WorkerSign] { signs.others(than: name, of: model.id) }

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
            let hasPlace = state.withLock { state in
                guard state.held.count + state.arriving < engine.capacity, !state.isDraining else {
                    return false
                }
                state.arriving += 1
                return true
            }
            guard hasPlace else { return message.giveBack() }
            defer { state.withLock { $0.arriving -= 1 } }
            if let pause = pauseForAnother(told, message) {
                return message.giveBack(after: pause)
            }
            do {
                guard let known = try await begin(told) else {
                    message.acknowledge()
                    return
                }
                let job = known.job
                state.withLock { $0.held[job.id] = Held(message: message, known: known) }
                let task = Task { await self.work(job) }
                state.withLock { $0.held[job.id]?.task = task }
            } catch {
                logger.warning(
                    "a job is given back", metadata: ["job": "\(told.id)", "error": "\(error)"])
                message.giveBack(after: 500)
            }
        }

        /// Milliseconds after which another worker should have the job, because of its LoRA files;
        /// `nil` where it is this one's.
        private func pauseForAnother(_ job: FleetJob, _ message: NATSMessage) -> Int64? {
            let names = Set(job.request.loras.map(\.name))
            guard !names.isEmpty else { return nil }
            let (others, offers) = (others, message.deliveries)
            guard names.isSubset(of: engine.loras.entries.map(\.name)) else {
                // Who has them may just be starting again; in the end they are missed here.
                let isSomewhere = others.contains { $0.has(names) }
                return isSomewhere ? 100 : offers < 20 ? 500 : nil
            }
            let loaded = state.withLock { $0.status?.loadedLoRAs ?? [] }
            guard !names.isSubset(of: loaded), offers <= 2 * others.count else { return nil }
            return others.contains { $0.isReady(for: names) } ? 20 : nil
        }

        /// The job with one attempt more, or `nil` when nothing is to be done for it.
        private func begin(_ told: FleetJob) async throws -> FleetStore.Revision? {
            let now = FleetStore.now
            let (name, limit) = (name, settings.attempts)
            let outcome = try await store.change(told.id, base: told) { job in
                if let deadline = job.deadline, deadline <= now {
                    return job.ended(
                        .cancelled, FleetQueue.overdue, isOverdue: true, at: now)
                }
                return job.begun(by: name, at: now, limit: limit)
                    ?? job.ended(.failed, Self.givenUp(job), isGivenUp: true, at: now)
            }
            guard let (known, isChanged) = outcome, isChanged else { return nil }
            let job = known.job
            if job.state == .running {
                logger.info("begins", metadata: ["job": "\(job.id)", "attempt": "\(job.attempts)"])
                return known
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
    }
#endif
