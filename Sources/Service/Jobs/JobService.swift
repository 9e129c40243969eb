// Part of Inkstone. Licence: see LICENSE.

public import Engine
import Foundation
import Imaging
public import Logging

/// Takes requests as jobs, runs them on an engine and keeps what becomes of them.
///
/// A call that waits for its pictures is a job that somebody watches: when its last watcher goes, it
/// is cancelled. A detached job goes on by itself. Both survive the end of the process.
public actor JobService: JobQueue {
    /// How much is taken on and kept.
    public struct Limits: Sendable {
        /// Jobs that the engine works on or knows of.
        public var running: Int
        /// Jobs that are not final; more are refused as busy.
        public var unfinished: Int
        /// Seconds that final jobs are kept; for ever if `nil`.
        public var age: Double?
        /// Bytes of pictures that are kept.
        public var pictureBytes: Int
        /// Seconds after which a job is cancelled that is not final; a client may ask for less.
        public var seconds: Double?
        /// Seconds to wait for room on the disk before a job fails.
        public var patience: Double

        /// Limits of the given sizes.
        public init(
            running: Int = 64, unfinished: Int = 256, age: Double? = 7 * 86400,
            pictureBytes: Int = 4 << 30, seconds: Double? = nil, patience: Double = 60
        ) {
            self.running = running
            self.unfinished = unfinished
            self.age = age
            self.pictureBytes = pictureBytes
            self.seconds = seconds
            self.patience = patience
        }
    }

    /// Where jobs are kept.
    public nonisolated let store: JobStore
    private let engine: any ImageGenerating
    private let listing: any ModelListing
    private let patience: Double
    private var limits: Limits
    private let logger: Logger
    private var live: [String: LiveJob] = [:]
    private var tasks: [String: Task<Void, Never>] = [:]
    /// Ids that wait for the engine.
    private var pending = WaitingLine<String>()
    /// Submissions on their way into the store.
    private var arriving = 0
    private var lastPruned = ContinuousClock.now

    /// A service over an engine and the list of its models; `resume` takes up what an earlier process
    /// left.
    public init(
        engine: any ImageGenerating, models: any ModelListing, store: JobStore,
        limits: Limits = Limits(),
        logger: Logger = Logger(label: "inkstone.jobs")
    ) {
        self.engine = engine
        listing = models
        self.store = store
        self.limits = limits
        patience = limits.patience
        self.logger = logger
    }

    /// Changes how long jobs may take and what is kept of them; how much is taken on stays.
    public func adopt(_ changed: Limits) {
        limits.age = changed.age
        limits.pictureBytes = changed.pictureBytes
        limits.seconds = changed.seconds
    }

    /// Always: the store is this process's own.
    package var isReachable: Bool { true }

    /// The models that requests may name; the first one is the default.
    public var models: [ModelDescription] {
        get async { await listing.models }
    }

    // MARK: - Jobs

    /// Accepts a request: from here on it is not lost.
    ///
    /// - Parameters:
    ///   - request: what to draw.
    ///   - model: what draws it.
    ///   - submission: what else is known of it.
    ///   - onEnd: called when the job is final, or is not accepted.
    /// - Returns: the job; with an idempotency key that was used before, the job of then.
    /// - Throws: `GenerationError` of code `busy` or `storage`, `JobStoreError` of code `keyReused`.
    public func submit(
        _ request: ImageRequest, model: String, _ submission: Submission = Submission(),
        onEnd: @escaping @Sendable () -> Void = {}
    ) async throws -> Job {
        do {
            let job = try await accept(request, model, submission)
            if let live = live[job.id] { live.whenEnded(onEnd) } else { onEnd() }
            return job
        } catch {
            onEnd()
            throw error
        }
    }

    private func accept(
        _ request: ImageRequest, _ model: String, _ submission: Submission
    ) async throws -> Job {
        var submission = submission
        submission.seconds = submission.seconds(atMost: limits.seconds)
        let submitted = submission
        guard live.count + arriving < limits.unfinished else {
            throw GenerationError(
                .busy, "\(limits.unfinished) jobs are waiting already; try again in a moment.")
        }
        arriving += 1
        defer { arriving -= 1 }
        let (job, isNew) = try await withPatience {
            try await self.store.insert(request, model: model, submitted)
        }
        // A client that names its call comes back for it.
        let isDetached = submission.isDetached || submission.idempotencyKey != nil
        if isNew {
            enqueue(LiveJob(job, earlier: [], isDetached: isDetached))
        } else if isDetached {
            live[job.id]?.detach()
        }
        return job
    }

    /// What happens to a job from now on, after what has happened in short; or `nil` for none.
    ///
    /// A final job's pictures come from the store.
    public func watch(_ id: String) async throws -> JobEventStream? {
        if let job = live[id] { return watch(job) }
        guard let job = try await store.job(id) else { return nil }
        if let job = live[job.id] { return watch(job) }
        let error: (any Error)? =
            switch job.state {
            case .cancelled:
                job.failure.map { GenerationError(.deadline, $0) } ?? CancellationError()
            case .failed: GenerationError(.internalFailure, job.failure ?? "The job failed.")
            default: nil
            }
        return JobEventStream(images(of: job).map { .image($0) }, throwing: error)
    }

    private func watch(_ job: LiveJob) -> JobEventStream {
        job.watch { Task { await self.abandon(job.id) } }
    }

    /// How far a job is that is not final, by its id or the client's request id.
    public func progress(_ id: String) -> JobProgress? { find(id)?.progress }

    /// The jobs that are not final: those in work first, then those that wait.
    public var unfinished: [(id: String, progress: JobProgress)] {
        let order = pending.elements
        let waiting = Set(order)
        return live.values.filter { !waiting.contains($0.id) }.map { ($0.id, $0.progress) }
            + order.compactMap { id in live[id].map { (id, $0.progress) } }
    }

    /// Cancels a job within one step; returns whether there was one that could be.
    @discardableResult
    public func cancel(_ id: String) async -> Bool {
        guard let job = find(id) else { return false }
        await abandon(job.id)
        return true
    }

    /// Cancels every job that is not final.
    public func cancelAll() async {
        for id in Array(live.keys) { await abandon(id) }
    }

    /// Removes a final job and its pictures; returns whether there was one.
    public func remove(_ id: String) async throws -> Bool {
        try await store.remove([id]) > 0
    }

    /// The PNG file of a job's picture as soon as it is there, or `nil`.
    public func picture(_ index: Int, of id: String) async throws -> [UInt8]? {
        if let png = find(id)?.image(index)?.png { return png }
        return try await store.job(id)?.pictures.first { $0.index == index }.flatMap(file)
    }

    /// A job with what is known of its progress, by its id or the client's request id.
    public func job(_ id: String) async throws -> (job: Job, progress: JobProgress?)? {
        guard let job = try await store.job(id) else { return nil }
        return (job, live[job.id]?.progress)
    }

    /// The jobs of a query, the newest first.
    package func jobs(_ query: JobQuery) async throws -> [Job] { try await store.jobs(query) }

    /// The PNG file of that name, if it is kept.
    package nonisolated func file(named name: String) -> [UInt8]? { store.file(named: name) }

    /// The PNG file of a picture.
    public nonisolated func file(of picture: Job.Picture) -> [UInt8]? {
        store.files.read(picture.file)
    }

    /// Takes up the jobs that were not final when the process before this one ended.
    public func resume() async throws {
        let jobs = try await store.unfinished()
        for job in jobs where live[job.id] == nil {
            let earlier = images(of: job)
            enqueue(LiveJob(job, earlier: earlier, isDetached: true))
        }
        if !jobs.isEmpty {
            logger.info("jobs resumed", metadata: ["count": "\(jobs.count)"])
        }
    }

    // MARK: - ImageGenerating

    /// Runs a request as a job that is cancelled when the iteration ends early.
    public nonisolated func events(for request: ImageRequest, model: String) -> JobEventStream {
        events(for: request, model: model, Submission(), report: nil)
    }

    // MARK: - Running

    private func find(_ id: String) -> LiveJob? {
        live[id] ?? live.values.first { $0.requestID == id }
    }

    private func enqueue(_ job: LiveJob) {
        live[job.id] = job
        pending.append(job.id, job.request.priority)
        if let deadline = job.deadline {
            let timer = Task {
                try await Task.sleep(for: .seconds(max(0, deadline.timeIntervalSinceNow)))
                job.setOverdue()
                await self.abandon(job.id)
            }
            job.whenEnded { timer.cancel() }
        }
        startNext()
    }

    private func startNext() {
        while tasks.count < limits.running, let id = pending.popFirst() {
            guard let job = live[id] else { continue }
            tasks[id] = Task { await self.run(job) }
        }
        for (place, id) in pending.elements.enumerated() {
            live[id]?.publish(.queued(position: place))
        }
    }

    /// Ends a job that nobody wants any longer.
    private func abandon(_ id: String) async {
        if let task = tasks[id] {
            task.cancel()
        } else if let job = live[id], pending.removeAll(where: { $0 == id }) {
            await conclude(job, .failure(CancellationError()))
        }
    }

    private nonisolated func run(_ job: LiveJob) async {
        let result: Result<Void, any Error>
        do {
            try await draw(job)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        // A cancelled task cannot write to the database; a new one can.
        await Task { await self.conclude(job, result) }.value
    }

    /// Draws what is missing of a job; every picture goes to the watchers and then to the store.
    private nonisolated func draw(_ job: LiveJob) async throws {
        try await withPatience { try await self.store.start(job.id) }
        var done = 0
        while job.earlier.contains(where: { $0.index == done }) { done += 1 }
        guard done < job.request.count else { return }
        let rest = job.request.dropping(first: done)
        let description = await listing.models.first { $0.id == job.model }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for try await event in engine.events(for: rest, model: job.model).numbered(from: done) {
                guard case .image(var image) = event else {
                    job.publish(event)
                    continue
                }
                let png = try image.file(of: job.request, model: description)
                image.png = png
                job.publish(.image(image))
                group.addTask { [image] in try await self.keep(image, png, of: job) }
            }
            try await group.waitForAll()
        }
        guard job.imageCount == job.request.count else {
            throw GenerationError(
                .internalFailure,
                "The engine ended after \(job.imageCount) of \(job.request.count) pictures.")
        }
    }

    private nonisolated func keep(
        _ image: GeneratedImage, _ png: [UInt8], of job: LiveJob
    ) async throws {
        try await withPatience {
            let file = try self.store.files.store(png)
            try await self.store.add(
                Job.Picture(
                    index: image.index, seed: image.seed, pixelDigest: image.pixelDigest,
                    file: file, fileSize: png.count, promptTruncated: image.promptTruncated,
                    seconds: image.seconds, loras: image.loras), to: job.id)
        }
    }

    private func conclude(_ job: LiveJob, _ outcome: Result<Void, any Error>) async {
        var result = outcome
        if case .failure(is CancellationError) = result, job.isOverdue {
            result = .failure(
                GenerationError(.deadline, "The request was cancelled: its time was over."))
        }
        let isGivenUp =
            if case .failure(let error as GenerationError) = result {
                error.code == .workerLost
            } else {
                false
            }
        let (state, failure): (Job.State, String?) =
            switch result {
            case .success: (.succeeded, nil)
            case .failure(is CancellationError): (.cancelled, nil)
            case .failure(let error as GenerationError) where error.code == .deadline:
                (.cancelled, error.message)
            case .failure(let error): (.failed, "\(error)")
            }
        do {
            try await withPatience {
                try await self.store.finish(
                    job.id, state, failure: failure, isGivenUp: isGivenUp)
            }
        } catch {
            logger.error(
                "the end of a job was not written down; it runs again after a restart",
                metadata: ["job": "\(job.id)", "error": "\(error)"])
        }
        live[job.id] = nil
        tasks[job.id] = nil
        job.end(result)
        startNext()
        await prune()
    }

    // MARK: - Upkeep

    /// Removes what is older or more than allowed, once a minute at most.
    private func prune() async {
        guard .now - lastPruned > .seconds(60) else { return }
        lastPruned = .now
        do {
            try await pruneNow()
        } catch {
            logger.warning("old jobs were not removed", metadata: ["error": "\(error)"])
        }
    }

    package func pruneNow() async throws {
        let ids = try await store.expired(
            before: limits.age.map { Date(timeIntervalSinceNow: -$0) },
            pictureBytes: limits.pictureBytes)
        if !ids.isEmpty { _ = try await store.remove(ids) }
    }

    /// Pictures that are in the store, as the engine delivered them.
    private nonisolated func images(of job: Job) -> [GeneratedImage] {
        job.pictures.compactMap { picture in
            guard let png = file(of: picture),
                let image = try? ImageDecoder.decode(png).flattened()
            else { return nil }
            var generated = GeneratedImage(
                index: picture.index, seed: picture.seed, image: image,
                pixelDigest: picture.pixelDigest, promptTruncated: picture.promptTruncated,
                seconds: picture.seconds)
            generated.png = png
            generated.loras = picture.loras
            return generated
        }
    }

    /// Repeats what fails for want of room on the disk until there is some, or patience ends.
    private nonisolated func withPatience<Value: Sendable>(
        _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        let deadline = ContinuousClock.now + .seconds(patience)
        while true {
            do {
                return try await body()
            } catch let error as JobStoreError where error.code == .full {
                guard .now < deadline else { throw GenerationError(.storage, error.message) }
            } catch let error as ImagingError where error.code == .diskFull {
                guard .now < deadline else { throw GenerationError(.storage, "\(error)") }
            } catch let error as JobStoreError where error.code == .unusable {
                throw GenerationError(.storage, error.message)
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }
}
