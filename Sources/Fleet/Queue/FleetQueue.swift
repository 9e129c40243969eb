// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    package import Engine
    package import Logging
    package import Service

    /// Jobs that are kept in NATS and run by the workers of a fleet.
    ///
    /// Every gateway sees every job: it holds a copy of the bucket of jobs, which NATS keeps up to date, and
    /// listens to the events of those jobs that clients ask it about.
    package actor FleetQueue: JobQueue {
        let store: FleetStore
        let presence: WorkerPresence
        let meter: EngineMeter
        let gateway: String
        let logger: Logger
        let clock: any Clock<Duration>
        var settings: FleetSettings
        /// All jobs, as the bucket has them.
        var index: FleetIndex
        /// Jobs whose events this gateway listens to.
        var followed: [String: FollowedJob] = [:]
        /// Subjects of queues that are known to exist.
        var queues: Set<String> = []
        /// Set when a deadline is earlier than those that housekeeping waits for.
        var earlierDeadline = Promise<Void>()
        /// Cancels jobs whose last watcher has left.
        lazy var canceller = CancellationQueue { [weak self] id in await self?.cancel(id, for: .all)
        }
        /// Copies the bucket, keeps house, and withdraws jobs that were not accepted.
        let tasks = OwnedTasks()
        /// Jobs whose ends are not written yet.
        var ending: Set<String> = []
        /// Whether streams of events end at once.
        var isStopping = false
        private var isCaughtUp = false

        /// A gateway's view of the fleet.
        package init(
            _ store: FleetStore, presence: WorkerPresence, meter: EngineMeter, gateway: String,
            clock: any Clock<Duration> = ContinuousClock(), logger: Logger
        ) {
            self.store = store
            self.presence = presence
            self.meter = meter
            self.gateway = gateway
            self.clock = clock
            self.logger = logger
            settings = store.settings
            index = FleetIndex(gateway: gateway)
            presence.setCounts { [weak self] in await self?.index.counts ?? (0, 0) }
            tasks.start { [weak self] in
                for await change in store.jobs.changes() { await self?.apply(change) }
            }
            tasks.start { await Self.watchSpace(store, clock) }
            tasks.start { [weak self] in
                while !Task.isCancelled, let (wake, pause) = await self?.cleanUp() {
                    _ = await wake.wait(atMost: pause, clock: clock)
                }
            }
        }

        package var isReachable: Bool { store.connection.isUp && isCaughtUp }

        package var isStorageFull: Bool { store.isFull }

        /// Returns at once: housekeeping has begun with the queue.
        package func startHousekeeping() {}

        package var models: [ModelDescription] { get async { await presence.models } }

        package func updateLimits(_ changed: JobService.Limits) {
            settings.seconds = changed.seconds
        }

        /// Returns at once: unfinished jobs are in the queue already.
        package func resume() {}

        // MARK: - The bucket

        private func apply(_ change: Bucket.Change) {
            switch change {
            case .value(_, let bytes, let revision):
                // A job of another version that cannot be read is left out.
                guard let job = try? FleetJob.decode(bytes) else { return }
                update(job, revision)
            case .removed(let id): index.remove(id)
            case .caughtUp: isCaughtUp = true
            }
        }

        /// Records a job as the bucket has it, and reports it to those who watch it.
        func update(_ job: FleetJob, _ revision: UInt64) {
            let due = index.nextDue(keeping: settings.age)
            let change = index.update(job, revision: revision, at: FleetStore.now)
            guard change.isNew else { return }
            followed[job.id]?.update(job)
            if change.changesPlaces { reportPlaces(of: job.model) }
            if let now = index.nextDue(keeping: settings.age), now < due ?? .infinity {
                earlierDeadline.fulfil(())
            }
        }

        private func reportPlaces(of model: String) {
            guard !followed.isEmpty else { return }
            for (place, id) in index.waitingIDs(of: model).enumerated() {
                followed[id]?.publish(.queued(position: place))
            }
        }

        /// The job of a name: an id, or the id of a call; asks NATS where this gateway does not know it.
        func find(_ name: String, for access: JobAccess) async throws -> FleetJob? {
            if let known = index.find(name, for: access) { return known }
            guard let known = try await reaching({ try await self.store.job(name) })
            else { return nil }
            update(known.job, known.revision)
            return access.permits(known.job.owner) ? known.job : nil
        }

        /// Throws unless the copy of the bucket is complete.
        func requireCopy() throws {
            guard isCaughtUp else { throw Self.unreachable }
        }

        static let unreachable = GenerationError(
            .queueUnreachable, "The queue of the fleet cannot be reached; try again in a moment.")

        static let full = GenerationError(
            .storage,
            "There is no space left on the disk of the fleet's queue; try again when some is free.")

        /// Turns errors of NATS into the one that clients understand.
        nonisolated func reaching<Value: Sendable>(
            _ body: @Sendable () async throws -> Value
        ) async throws -> Value {
            do {
                return try await body()
            } catch let error as NATSError where error.code == .full {
                logger.warning("NATS has no space", metadata: ["error": "\(error)"])
                throw Self.full
            } catch let error as NATSError {
                logger.warning("NATS did not do its part", metadata: ["error": "\(error)"])
                throw Self.unreachable
            }
        }
    }
#endif
