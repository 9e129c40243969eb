// Part of Inkstone. Licence: see LICENSE.

import Parameters

#if Fleet
    import Basics
    package import Engine
    import Imaging
    package import Logging
    package import Service

    import Foundation

    /// Jobs that are kept in NATS and drawn by whatever workers there are.
    ///
    /// Every gateway sees every job: it holds a copy of the bucket of jobs, which NATS keeps up to date, and
    /// listens to the events of those jobs that somebody asks it about.
    package actor FleetQueue: JobQueue {
        /// What a job says whose deadline has passed.
        static let overdue = "The request was cancelled: its time was over."

        let store: FleetStore
        private let board: FleetBoard
        private let meter: EngineMeter
        private let gateway: String
        private let logger: Logger
        private var settings: FleetSettings
        /// All jobs, as the bucket has them.
        private var index: [String: FleetStore.Revision] = [:]
        /// The same by age, the newest last.
        private var order: [Age] = []
        /// Jobs that are not final.
        private var open: Set<String> = []
        /// Jobs with an owner that other gateways accepted within the last minute.
        private var foreign: [(owner: String, created: Double)] = []
        /// The newest job of each client's name for a call.
        private var requests: [String: String] = [:]
        private var followed: [String: FollowedJob] = [:]
        /// Queues that are known to be there.
        private var queues: Set<String> = []
        private var isCaughtUp = false
        private var lastForgotten = 0.0

        /// A gateway's view of the fleet.
        package init(
            _ store: FleetStore, board: FleetBoard, meter: EngineMeter, gateway: String,
            logger: Logger
        ) {
            self.store = store
            self.board = board
            self.meter = meter
            self.gateway = gateway
            self.logger = logger
            settings = store.settings
            board.setCounts { [weak self] in await self?.counts ?? (0, 0) }
            Task { [weak self] in
                for await change in store.jobs.changes() { await self?.note(change) }
            }
            Task { [weak self] in
                while let self {
                    await self.tidy()
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        }

        /// Where a job stands among all.
        private struct Age: Comparable {
            var created: Double
            var id: String

            init(_ job: FleetJob) { (created, id) = (job.created, job.id) }

            static func < (first: Age, second: Age) -> Bool {
                (first.created, first.id) < (second.created, second.id)
            }
        }

        package var isReachable: Bool { store.connection.isUp && isCaughtUp }

        package var models: [ModelDescription] { get async { await board.models } }

        package func adopt(_ changed: JobService.Limits) {
            settings.seconds = changed.seconds
        }

        /// Every job is taken up already.
        package func resume() {}

        // MARK: - What the bucket says

        private func note(_ change: Bucket.Change) {
            switch change {
            case .value(let id, let bytes, let revision):
                // Of another version: what cannot be read is left out.
                guard let job = try? FleetJob.decode(bytes) else { return }
                note(id, job, revision)
            case .removed(let id): drop(id)
            case .caughtUp: isCaughtUp = true
            }
        }

        private func note(_ id: String, _ job: FleetJob, _ revision: UInt64) {
            if let known = index[id], known.revision >= revision { return }
            let wasWaiting = index[id].map { $0.job.state == .queued } ?? false
            if index.updateValue(.init(job: job, revision: revision), forKey: id) == nil {
                insert(job)
            }
            if let name = job.requestID {
                let older = requests[name].flatMap { index[$0]?.job.created } ?? 0
                if job.created >= older { requests[name] = id }
            }
            if job.state.isFinal { open.remove(id) } else { open.insert(id) }
            followed[id]?.note(job)
            if wasWaiting || job.state == .queued { tellPlaces(of: job.model) }
        }

        private func insert(_ job: FleetJob) {
            let age = Age(job)
            order.insert(age, at: place(of: age))
            if let owner = job.owner, job.gateway != gateway, job.created > FleetStore.now - 60 {
                foreign.append((owner, job.created))
            }
        }

        private func drop(_ id: String) {
            guard let job = index.removeValue(forKey: id)?.job else { return }
            if let name = job.requestID, requests[name] == id { requests[name] = nil }
            open.remove(id)
            let place = place(of: Age(job))
            if place < order.count, order[place].id == id { order.remove(at: place) }
        }

        /// How many are older.
        private func place(of age: Age) -> Int {
            var range = 0..<order.count
            while !range.isEmpty {
                let middle = (range.lowerBound + range.upperBound) / 2
                if order[middle] < age {
                    range = (middle + 1)..<range.upperBound
                } else {
                    range = range.lowerBound..<middle
                }
            }
            return range.lowerBound
        }

        private var counts: (queued: Int, running: Int) {
            let queued = open.count { index[$0]?.job.state == .queued }
            return (queued, open.count - queued)
        }

        /// Jobs that wait, the next one first.
        private func waiting(_ model: String? = nil) -> [FleetJob] {
            open.compactMap { index[$0]?.job }
                .filter { $0.state == .queued && (model == nil || $0.model == model) }

                .sorted { first, second in
                    let (one, other) = (first.request.priority, second.request.priority)
                    return one == other ? Age(first) < Age(second) : one > other
                }
        }

        private func tellPlaces(of model: String) {
            guard !followed.isEmpty else { return }
            for (place, job) in waiting(model).enumerated() {
                followed[job.id]?.publish(.queued(position: place))
            }
        }

        /// A job by its id or the client's request id; asks NATS where this gateway does not know it.
        private func find(_ name: String) async throws -> FleetJob? {
            if let known = index[name] { return known.job }
            if let id = requests[name], let known = index[id] { return known.job }
            guard let known = try await reaching({ try await self.store.job(name) })
            else { return nil }
            note(name, known.job, known.revision)
            return known.job
        }

        // MARK: - Accepting

        package func submit(
            _ request: ImageRequest, model: String, _ submission: Submission,
            onEnd: @escaping @Sendable () -> Void
        ) async throws -> Job {
            do {
                let job = try await accept(request, model, submission)
                if let live = followed[job.id]?.live { live.whenEnded(onEnd) } else { onEnd() }
                return job.job(source: request.source)
            } catch {
                onEnd()
                throw error
            }
        }

        private func accept(
            _ request: ImageRequest, _ model: String, _ submission: Submission
        ) async throws -> FleetJob {
            guard isReachable else { throw Self.unreachable }
            guard open.count < settings.unfinished else {
                throw GenerationError(
                    .busy,
                    "\(settings.unfinished) jobs are waiting already; try again in a moment.")
            }
            let now = FleetStore.now
            var job = FleetJob(
                id: JobStore.newID(), model: model, request: request.with(source: nil),
                requestID: submission.requestID, owner: submission.owner, created: now)
            job.gateway = gateway
            job.deadline = submission.seconds(atMost: settings.seconds).map { now + $0 }
            if let key = submission.idempotencyKey {
                let claimed = try await reaching { [id = job.id] in
                    try await self.claim(key, submission, id)
                }
                job.id = claimed
                if let known = try await find(claimed) {
                    // Nobody follows what was asked for in another life of the client.
                    if !known.state.isFinal { follow(known, isDetached: true, isCounted: false) }
                    followed[known.id]?.live.detach()
                    return known
                }
            }
            if let source = request.source {
                job.source = try await reaching {
                    try await self.keep(source, strength: request.strength ?? 1)
                }
            }
            return try await enqueue(job, submission)
        }

        private func enqueue(_ job: FleetJob, _ submission: Submission) async throws -> FleetJob {
            let hasKey = submission.idempotencyKey != nil
            let (store, priority) = (store, job.request.priority)
            let subject = FleetNames.queueSubject(job.model, priority)
            if !queues.contains(subject) {
                try await reaching { try await store.ensureQueue(of: job.model, priority) }
                queues.insert(subject)
            }
            // Before the job is there: its first events would be missed.
            follow(job, isDetached: submission.isDetached || hasKey, isCounted: true)
            do {
                let bytes = try job.encoded
                _ = try await reaching {
                    try await store.connection.store(subject, bytes, id: job.id)
                }
            } catch {
                followed.removeValue(forKey: job.id)?.end(.failure(error))
                // The server may have it although it did not say so. With a key the client comes again
                // for the same job, which must not end meanwhile.
                if !hasKey { Task { await self.withdraw(job) } }
                throw error
            }
            // From here on it is accepted. A worker that is faster has written it already.
            do {
                let revision = try await store.jobs.set(job.id, try job.encoded, after: 0)
                note(job.id, job, revision)
            } catch {
                open.insert(job.id)
                if index[job.id] == nil {
                    index[job.id] = .init(job: job, revision: 0)
                    insert(job)
                }
            }
            return job
        }

        /// Cancels what nobody was told of, as soon as that is possible.
        private nonisolated func withdraw(_ job: FleetJob) async {
            for _ in 0..<600 {
                if (try? await store.change(
                    job.id, base: job,
                    { $0.ended(.cancelled, "The gateway could not accept it.", at: FleetStore.now) }
                )) != nil {
                    return
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }

        /// What an idempotency key stands for.
        private struct Claim: Codable {
            var job: String
            var fingerprint: String?
        }

        /// The job of an idempotency key: the given one if the key is new.
        private nonisolated func claim(
            _ key: String, _ submission: Submission, _ id: String
        ) async throws -> String {
            let name = SHA256.hexadecimal(Array("\(submission.owner ?? "")\n\(key)".utf8))
            let claim = Claim(job: id, fingerprint: submission.fingerprint)
            do {
                try await store.keys.set(
                    name, [UInt8](try JSONEncoder().encode(claim)), after: 0)
                return id
            } catch let error as NATSError where error.code == .conflict {
                var found = try await store.keys.value(of: name)
                // It is there; a server that lags behind may not know it yet.
                var tries = 0
                while found == nil, tries < 20 {
                    try await Task.sleep(for: .milliseconds(100))
                    found = try await store.keys.value(of: name)
                    tries += 1
                }
                guard let (bytes, _) = found else {
                    throw NATSError(.unreachable, "reading an idempotency key")
                }
                let known = try JSONDecoder().decode(Claim.self, from: Data(bytes))
                guard known.fingerprint == submission.fingerprint else {
                    throw JobStoreError(
                        code: .keyReused,
                        message:
                            "The idempotency key was used for a different request before; send a"
                            + " new key with a new request.")
                }
                return known.job
            }
        }

        private nonisolated func keep(
            _ source: ImageRequest.Source, strength: Double
        ) async throws -> FleetJob.Source {
            let image = try await store.keep(try ImageEncoder.encode(source.image))
            var mask: StoredFile?
            if let pixels = source.mask {
                mask = try await store.keep(try ImageEncoder.encode(pixels))
            }
            return FleetJob.Source(image: image, mask: mask, strength: strength)
        }

        private static let unreachable = GenerationError(
            .queueUnreachable, "The queue of the fleet cannot be reached; try again in a moment.")

        /// Says in the service's words that NATS is away.
        private nonisolated func reaching<Value: Sendable>(
            _ body: @Sendable () async throws -> Value
        ) async throws -> Value {
            do {
                return try await body()
            } catch let error as NATSError {
                logger.warning("NATS did not do its part", metadata: ["error": "\(error)"])
                throw Self.unreachable
            }
        }

        // MARK: - Following

        @discardableResult
        private func follow(
            _ job: FleetJob, isDetached: Bool, isCounted: Bool
        ) -> FollowedJob {
            if let known = followed[job.id] { return known }
            let new = FollowedJob(
                job, isDetached: isDetached,
                meter: isCounted ? meter.begin(job.request, model: job.model) : nil)
            followed[job.id] = new
            do {
                new.listen(
                    try store.connection.subscribe(FleetNames.events(job.id)) {
                        [weak new] _, message in new?.receive(message)
                    })
            } catch {
                logger.warning("no progress is told", metadata: ["job": "\(job.id)"])
            }
            if job.state == .queued {
                let before = waiting(job.model).count {
                    $0.id != job.id && $0.request.priority >= job.request.priority
                }
                new.publish(.queued(position: before))
            }
            new.note(job)
            Task { await self.attend(to: new) }
            return new
        }

        /// Tells what the bucket says of a job until it is final.
        private nonisolated func attend(to job: FollowedJob) async {
            var told: Set<Int> = []
            for await update in job.updates {
                if update.state != .queued, update.attempts > 0 { job.publish(.started) }
                var missing = false
                for picture in update.pictures where told.insert(picture.index).inserted {
                    if let image = await image(picture) {
                        job.publish(.image(image))
                    } else {
                        missing = true
                    }
                }
                guard update.state.isFinal else { continue }
                job.end(
                    missing
                        ? .failure(
                            GenerationError(.storage, "A picture of the job is no longer kept."))
                        : Self.outcome(of: update))
                break
            }
            await forget(job)
        }

        private func forget(_ job: FollowedJob) {
            if followed[job.live.id] === job { followed[job.live.id] = nil }
        }

        private static func outcome(of job: FleetJob) -> Result<Void, any Error> {
            switch job.state {
            case .cancelled where job.isOverdue:
                .failure(GenerationError(.deadline, job.failure ?? overdue))
            case .cancelled: .failure(CancellationError())
            case .failed:
                .failure(
                    GenerationError(
                        job.isGivenUp == true ? .workerLost : .internalFailure,
                        job.failure ?? "The job failed."))
            default: .success(())
            }
        }

        /// A finished picture with its pixels; waits while NATS is away.
        private nonisolated func image(_ picture: FleetJob.Picture) async -> GeneratedImage? {
            for attempt in 0..<600 {
                do {
                    guard let png = try await store.read(picture.file) else { return nil }
                    var image = GeneratedImage(
                        index: picture.index, seed: picture.seed,
                        image: try ImageDecoder.decode(png).flattened(),
                        pixelDigest: picture.pixelDigest,
                        promptTruncated: picture.promptTruncated, seconds: picture.seconds)
                    image.loras = picture.loras
                    image.png = png
                    return image
                } catch is ImagingError {
                    return nil
                } catch {
                    try? await Task.sleep(for: .milliseconds(min(1000, 50 * (attempt + 1))))
                }
            }
            return nil
        }

        package func watch(_ id: String) async throws -> JobEventStream? {
            if let known = followed[id] { return watch(known) }
            guard let job = try await find(id) else { return nil }
            return watch(
                followed[job.id] ?? follow(job, isDetached: true, isCounted: false))
        }

        private func watch(_ job: FollowedJob) -> JobEventStream {
            job.live.watch { Task { await self.cancel(job.live.id) } }
        }

        // MARK: - Answers

        package func progress(_ id: String) async -> JobProgress? {
            guard let job = try? await find(id), !job.state.isFinal else { return nil }
            return follow(job, isDetached: true, isCounted: false).live.progress
        }

        package var unfinished: [(id: String, progress: JobProgress)] {
            let waiting = waiting()
            let running = open.compactMap { index[$0]?.job }.filter { $0.state == .running }
            return (running + waiting).enumerated().map { place, job in
                if let known = followed[job.id] { return (job.id, known.live.progress) }
                let live = LiveJob(job.job(), earlier: [], isDetached: true)
                live.publish(
                    job.state == .queued ? .queued(position: place - running.count) : .started)
                return (job.id, live.progress)
            }
        }

        package func job(_ id: String) async throws -> (job: Job, progress: JobProgress?)? {
            guard let job = try await find(id) else { return nil }
            let source = try await reaching { try await self.store.source(of: job) }
            let progress =
                job.state.isFinal
                ? nil : follow(job, isDetached: true, isCounted: false).live.progress
            return (job.job(source: source), progress)
        }

        package func jobs(_ query: JobQuery) async throws -> [Job] {
            guard isCaughtUp else { throw Self.unreachable }
            let limit = query.before.flatMap { before in index[before].map { Age($0.job) } }
            let text = query.text?.lowercased()
            return order.reversed().lazy.compactMap { self.index[$0.id]?.job }.filter { job in
                (query.states.isEmpty || query.states.contains(job.state))
                    && (query.owner == nil || query.owner == job.owner)
                    && text.map { job.request.prompt.lowercased().contains($0) } ?? true
                    && (query.isGivenUp == nil || query.isGivenUp == (job.isGivenUp ?? false))
                    && limit.map { Age(job) < $0 } ?? true
            }.prefix(query.limit).map { $0.job() }
        }

        package func picture(_ number: Int, of id: String) async throws -> [UInt8]? {
            guard let picture = try await find(id)?.pictures.first(where: { $0.index == number })
            else { return nil }
            return try await reaching { try await self.store.read(picture.file) }
        }

        package nonisolated func file(named name: String) async throws -> [UInt8]? {
            try await reaching { try await self.store.read(named: name) }
        }

        // MARK: - Ends

        @discardableResult
        package func cancel(_ id: String) async -> Bool {
            guard let job = try? await find(id), !job.state.isFinal else { return false }
            return await end(job, nil, isOverdue: false)
        }

        private func end(_ job: FleetJob, _ failure: String?, isOverdue: Bool) async -> Bool {
            let store = store
            let outcome = try? await store.change(job.id, base: job) {
                $0.ended(.cancelled, failure, isOverdue: isOverdue, at: FleetStore.now)
            }
            guard let outcome, outcome.isChanged else { return false }
            try? store.connection.publish(FleetNames.cancel(job.id))
            return true
        }

        package func remove(_ id: String) async throws -> Bool {
            guard let job = try await find(id), job.state.isFinal else { return false }
            let store = store
            drop(job.id)
            // Equal pictures share a file: one that another job has stays.
            let others = Set(index.values.flatMap { $0.job.pictures.map(\.file.digest) })
            try await reaching {
                try await store.jobs.remove(job.id)
                for picture in job.pictures where !others.contains(picture.file.digest) {
                    try await store.connection.forget(
                        "inkstone.pictures.\(picture.file.digest).*", in: FleetNames.pictures)
                }
            }
            return true
        }

        /// What an owner has at other gateways; they tell of a job when they have accepted it.
        package func elsewhere(_ owner: String) -> KeyUsage.Elsewhere {
            let now = FleetStore.now
            return KeyUsage.Elsewhere(
                running: open.count {
                    guard let job = index[$0]?.job else { return false }
                    return job.owner == owner && job.gateway != gateway
                },
                recent: foreign.compactMap { job in
                    guard job.owner == owner, now - job.created < 60 else { return nil }
                    return .seconds(max(0, now - job.created))
                })
        }

        /// Ends what is overdue and forgets what NATS no longer keeps.
        private func tidy() async {
            let now = FleetStore.now
            for id in open {
                guard let job = index[id]?.job, let deadline = job.deadline, deadline <= now else {
                    continue
                }
                _ = await end(job, Self.overdue, isOverdue: true)
            }
            foreign.removeAll { $0.created < now - 60 }
            guard settings.age > 0, now - lastForgotten > 60 else { return }
            lastForgotten = now
            for (id, entry) in index {
                if let finished = entry.job.finished, finished + settings.age < now { drop(id) }
            }
        }
    }
#endif
