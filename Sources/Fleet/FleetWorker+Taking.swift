// Part of Inkstone. Licence: see LICENSE.

import Parameters

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
        /// Since when a job is waited for.
        private var waiting: [Priority: ContinuousClock.Instant] = [:]
        /// Was overtaken so often that nobody else may take anything.
        private var due: Priority?
        private static let patience = 4

        /// A job of this priority is asked for, where it may be.
        ///
        /// - Returns: how long it may be waited for, in seconds; `nil` where it is another's turn.
        package mutating func begin(
            _ priority: Priority, isBusy: Bool, at now: ContinuousClock.Instant = .now
        ) -> Double? {
            let isFirst = Priority.allCases.allSatisfy { $0 <= priority || isEmpty($0, now) }
            guard due.map({ $0 == priority }) ?? isFirst else { return nil }
            waiting[priority] = now
            // Others wait for the end of a turn.
            return due == priority || isBusy ? 0.05 : 2
        }

        /// A queue that has jobs answers faster than this.
        private func isEmpty(_ priority: Priority, _ now: ContinuousClock.Instant) -> Bool {
            waiting[priority].map { now - $0 > .milliseconds(10) } ?? false
        }

        /// It was asked for, and came or did not.
        package mutating func end(_ priority: Priority) {
            waiting[priority] = nil
            overtaken[priority] = 0
            if due == priority { due = nil }
        }

        /// A job of this priority was taken.
        package mutating func noteTaken(
            _ priority: Priority, at now: ContinuousClock.Instant = .now
        ) {
            // Who has been waiting for a job has none.
            for other in Priority.allCases where other < priority && !isEmpty(other, now) {
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
                let isBesideOthers = busy > 0 && busy < engine.capacity && !others.isEmpty
                // A worker that has work leaves a new job to those that have none.
                if isBesideOthers {
                    try? await Task.sleep(for: .milliseconds(10 * busy))
                }
                let wait = state.withLock { state -> Double? in
                    guard state.held.count + state.arriving < engine.capacity else { return nil }
                    return state.turns.begin(priority, isBusy: isBesideOthers)
                }
                guard let wait else {
                    try? await Task.sleep(for: .milliseconds(5))
                    continue
                }
                do {
                    let message = try await consumer.next(within: wait)
                    state.withLock { $0.turns.end(priority) }
                    if let message, await accept(message) {
                        state.withLock { $0.turns.noteTaken(priority) }
                    }
                    isAway = false
                } catch {
                    state.withLock { $0.turns.end(priority) }
                    if !isAway {
                        logger.warning("no jobs come", metadata: ["error": "\(error)"])
                    }
                    isAway = true
                    try? await Task.sleep(for: .milliseconds(500))
                }
            }
        }

        private var others: [WorkerSign] { signs.others(than: name, of: model.id) }

        /// Begins work on the job of a message, where there is any to do; returns whether it has begun.
        private func accept(_ message: NATSMessage) async -> Bool {
            guard let told = try? FleetJob.decode(message.bytes) else {
                logger.error("a message in the queue is no job; it is thrown away")
                message.acknowledge()
                return false
            }
            let isMine = state.withLock { state in
                // After an interruption the server sends again what it thinks lost.
                guard state.held[told.id] != nil else { return false }
                state.held[told.id]?.message = message
                return true
            }
            guard !isMine else { return false }
            let hasPlace = state.withLock { state in
                guard state.held.count + state.arriving < engine.capacity, !state.isDraining else {
                    return false
                }
                state.arriving += 1
                return true
            }
            guard hasPlace else {
                message.giveBack()
                return false
            }
            defer { state.withLock { $0.arriving -= 1 } }
            if let pause = pauseForAnother(told, message) {
                message.giveBack(after: pause)
                return false
            }
            do {
                guard let known = try await begin(told) else {
                    message.acknowledge()
                    return false
                }
                let job = known.job
                state.withLock { $0.held[job.id] = Held(message: message, known: known) }
                let task = Task { await self.work(job) }
                state.withLock { $0.held[job.id]?.task = task }
                return true
            } catch {
                logger.warning(
                    "a job is given back", metadata: ["job": "\(told.id)", "error": "\(error)"])
                message.giveBack(after: 500)
                return false
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
            guard !names.isSubset(of: loaded), offers <= 6 * others.count else { return nil }
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
