// Part of Inkstone. Licence: see LICENSE.

import Parameters

#if Fleet
    import Catalog
    import Engine
    import Logging
    import Service
    import Synchronization

    extension FleetWorker {
        /// Fetches jobs of one priority until the worker is drained.
        func fetch(_ priority: Priority, from consumer: PullConsumer) async {
            var isAway = false
            while !isDraining, !Task.isCancelled {
                let busy = state.withLock { $0.held.count }
                let isBesideOthers = busy > 0 && busy < engine.capacity && !others.isEmpty
                // A worker that has work leaves a new job to those that have none.
                if isBesideOthers { try? await clock.sleep(for: .milliseconds(10 * busy)) }
                let change = changes.next
                let (seconds, chance) = beginFetch(priority, isBusy: isBesideOthers)
                guard let seconds else {
                    // No longer than a fetch takes.
                    let rest = chance.map { $0 - ContinuousClock.now } ?? .seconds(2)
                    _ = await change.wait(atMost: rest, clock: clock)
                    continue
                }
                do {
                    let message = try await consumer.next(within: seconds)
                    changeState { $0.scheduler.end(priority) }
                    if let message, await accept(message) {
                        changeState { $0.scheduler.recordStart(priority) }
                    }
                    isAway = false
                } catch {
                    changeState { $0.scheduler.end(priority) }
                    if !isAway {
                        logger.warning("no jobs come", metadata: ["error": "\(error)"])
                    }
                    isAway = true
                    try? await clock.sleep(for: .milliseconds(500))
                }
            }
        }

        /// Begins a fetch if there is a free place and the priority may fetch.
        ///
        /// - Returns: Seconds to wait for a job; else `nil`, and when to look again if nothing changes.
        private func beginFetch(
            _ priority: Priority, isBusy: Bool
        ) -> (seconds: Double?, nextChance: ContinuousClock.Instant?) {
            let outcome = state.withLock {
                state -> (seconds: Double?, nextChance: ContinuousClock.Instant?) in
                guard state.held.count + state.arriving < engine.capacity else { return (nil, nil) }
                let seconds = state.scheduler.begin(priority, isBusy: isBusy)
                return (seconds, seconds == nil ? state.scheduler.nextChance(of: priority) : nil)
            }
            if outcome.seconds != nil { changes.notify() }
            return outcome
        }

        private var others: [WorkerHeartbeat] { heartbeats.others(than: name, of: model.id) }

        /// Begins work on the job of a message, if there is any to do.
        ///
        /// Returns whether it has begun.
        private func accept(_ message: NATSMessage) async -> Bool {
            guard let received = try? FleetJob.decode(message.bytes) else {
                logger.error("a message in the queue is not a job; it is discarded")
                message.acknowledge()
                return false
            }
            let isMine = state.withLock { state in
                // After an interruption the server sends again what it thinks lost.
                guard state.held[received.id] != nil else { return false }
                state.held[received.id]?.message = message
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
                message.returnToQueue()
                return false
            }
            defer { changeState { $0.arriving -= 1 } }
            var pause = pauseForAnother(received, message)
            if pause == nil { pause = await pauseForAlike(received, message) }
            if let pause {
                message.returnToQueue(after: pause)
                return false
            }
            do {
                guard let known = try await begin(received) else {
                    message.acknowledge()
                    return false
                }
                let job = known.job
                state.withLock { $0.held[job.id] = Held(message: message, known: known) }
                let task = Task { await self.run(job) }
                state.withLock { $0.held[job.id]?.task = task }
                return true
            } catch {
                logger.warning(
                    "a job is given back", metadata: ["job": "\(received.id)", "error": "\(error)"])
                message.returnToQueue(after: 500)
                return false
            }
        }

        /// Milliseconds after which another worker should fetch the job, because of its LoRA files and ControlNets;
        /// `nil` where this worker runs it.
        private func pauseForAnother(_ job: FleetJob, _ message: NATSMessage) -> Int64? {
            let names = Set(job.request.loras.map(\.name))
            let nets = Set(job.request.controls.map(\.model))
            guard !names.isEmpty || !nets.isEmpty else { return nil }
            let (others, offers) = (others, message.deliveries)
            guard names.isSubset(of: engine.loras.entries.map(\.name)),
                nets.isSubset(of: engine.controlNets.offers)
            else {
                // A worker that has them may be restarting; in the end they are missed here.
                let isSomewhere = others.contains { $0.has(names, controlNets: nets) }
                return isSomewhere ? 100 : offers < 20 ? 500 : nil
            }
            let loaded = state.withLock { $0.status?.loadedLoRAs ?? [] }
            guard !names.isSubset(of: loaded), offers <= 6 * others.count else { return nil }
            return others.contains { $0.isReady(for: names) } ? 20 : nil
        }

        /// Milliseconds after which a worker with the kernels that generated the job's first images should fetch
        /// it; `nil` where this worker runs it, from the first image on if its kernels are others.
        private func pauseForAlike(_ job: FleetJob, _ message: NATSMessage) async -> Int64? {
            let offers = message.deliveries
            guard offers > 1, let known = try? await store.job(job.id)?.job,
                let earlier = known.origin, !origin.isAlike(earlier)
            else { return nil }
            let alike = others.filter { $0.isAlike(earlier) && $0.status.state == .ready }
            return !alike.isEmpty && offers <= 20 ? 500 : nil
        }

        /// The job with one attempt more, or `nil` when nothing is to be done for it.
        private func begin(_ received: FleetJob) async throws -> JobRevision? {
            let now = FleetStore.now
            let (name, origin, limit) = (name, origin, settings.attempts)
            let outcome = try await store.change(received.id, base: received) { job in
                if let deadline = job.deadline, deadline <= now {
                    return job.ended(FleetJob.overdue)
                }
                return job.begun(by: name, as: origin, at: now, limit: limit)
                    ?? job.ended(Self.givenUp(job))
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

        private static func givenUp(_ job: FleetJob) -> JobEnd {
            JobEnd(
                .failure(
                    GenerationError(
                        .workerLost,
                        "The worker ended \(job.attempts) times while it drew this request; try again"
                            + " later.")))
        }
    }
#endif
