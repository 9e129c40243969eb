// Part of Inkstone. Licence: see LICENSE.

public import Engine
public import Logging

/// Accepts requests as jobs, runs them on an engine and stores their results.
///
/// A call that waits for its images is a job that a client watches: when its last watcher leaves, it
/// is cancelled. A detached job continues without watchers. Both survive the end of the process.
public actor JobService: JobQueue {
    /// How much is accepted and kept.
    public struct Limits: Sendable {
        /// Jobs that are handed to the engine at once.
        public var running: Int
        /// Jobs that are not final; more are refused as busy.
        public var unfinished: Int
        /// Seconds that final jobs are kept; for ever if `nil`.
        public var age: Double?
        /// Bytes of images that are kept.
        public var imageBytes: Int
        /// Seconds after which a job is cancelled that is not final; a client may ask for less.
        public var seconds: Double?
        /// Seconds to wait for free disk space before a job fails.
        public var storageTimeout: Double
        /// How often work on a job may begin before it is given up, if the process ends each time.
        public var attempts: Int

        /// Limits of the given sizes.
        public init(
            running: Int = 64, unfinished: Int = 256, age: Double? = 7 * 86400,
            imageBytes: Int = 4 << 30, seconds: Double? = nil, storageTimeout: Double = 60,
            attempts: Int = 3
        ) {
            self.running = running
            self.unfinished = unfinished
            self.age = age
            self.imageBytes = imageBytes
            self.seconds = seconds
            self.storageTimeout = storageTimeout
            self.attempts = attempts
        }
    }

    /// The stored jobs.
    public nonisolated let store: JobStore
    let engine: any ImageGenerating
    let listing: any ModelListing
    let storageTimeout: Duration
    let clock: any Clock<Duration>
    let logger: Logger
    var limits: Limits
    /// Jobs that are not final.
    var index = JobIndex<LiveJob>()
    /// Runs of jobs; cancelling one cancels its job.
    var runs: [String: Task<Void, Never>] = [:]
    /// Timers of jobs with a deadline.
    var timers: [String: Task<Void, any Error>] = [:]
    /// Cancels jobs whose last watcher has left.
    lazy var canceller = CancellationQueue { [weak self] id in await self?.cancelNow(id) }
    /// Whether old jobs are being removed.
    var isRemoving = false
    /// Keeps house.
    let tasks = OwnedTasks()
    /// Writes the ends of jobs that could not be written at once.
    var endWriter: Task<Void, Never>?
    /// Set when the jobs of an earlier process are in the queue.
    let resumed = Promise<Void>()
    /// Whether nothing more is begun.
    var isStopping = false

    /// A service over an engine and the list of its models; `resume` continues with the jobs that an
    /// earlier process left.
    public init(
        engine: any ImageGenerating, models: any ModelListing, store: JobStore,
        limits: Limits = Limits(), clock: any Clock<Duration> = ContinuousClock(),
        logger: Logger = Logger(label: "inkstone.jobs")
    ) {
        self.engine = engine
        listing = models
        self.store = store
        self.limits = limits
        storageTimeout = .seconds(limits.storageTimeout)
        self.clock = clock
        self.logger = logger
    }

    deinit {
        for timer in timers.values { timer.cancel() }
        endWriter?.cancel()
    }

    /// Changes how long jobs may take and what is kept of them; how much is accepted stays.
    public func updateLimits(_ changed: Limits) {
        limits.age = changed.age
        limits.imageBytes = changed.imageBytes
        limits.seconds = changed.seconds
    }

    /// Always: the store belongs to this process.
    package var isReachable: Bool { true }

    /// Whether the last write found no space on the disk.
    package var isStorageFull: Bool { store.space.isFull }

    /// The models that requests may name; the first one is the default.
    public var models: [ModelDescription] {
        get async { await listing.models }
    }

    /// Waits until there is a model.
    public nonisolated func waitForModels() async throws { try await listing.waitForModels() }

    // MARK: - Watching

    /// Runs a request as a job that is cancelled when the iteration ends early.
    public nonisolated func events(for request: ImageRequest, model: String) -> JobEventStream {
        events(for: request, model: model, Submission(), report: nil)
    }

    /// The events of a job so far, in short, and then as they happen; `nil` where there is no such job.
    ///
    /// A final job's images come from the store.
    public func watch(_ id: String, for access: JobAccess) async throws -> JobEventStream? {
        if let job = index.find(id, for: access) { return watch(job) }
        guard let job = try await store.job(id, for: access) else { return nil }
        if let job = index[job.id] { return watch(job) }
        if job.state.isFinal { return events(of: job) }
        // It has ended meanwhile, or no run belongs to it.
        guard let now = try await store.job(job.id, for: .all) else { return nil }
        return now.state.isFinal ? events(of: now) : watchAfterResuming(now.id)
    }

    /// The events of a job that is not final and does not run: it is resumed when the models are loaded.
    private nonisolated func watchAfterResuming(_ id: String) -> JobEventStream {
        JobEventStream { feed in
            guard await self.resumed.wait() != nil else { throw CancellationError() }
            if let job = await self.index[id] {
                return try await feed.forward(await self.watch(job))
            }
            guard let job = try await self.store.job(id, for: .all) else {
                throw CancellationError()
            }
            guard job.state.isFinal else {
                throw await self.isStopping ? Self.stopped : Self.orphan
            }
            try await feed.forward(self.events(of: job))
        }
    }

    private static let orphan = GenerationError(
        .internalFailure, "The server does not run this job; cancel it, and submit it again.")

    /// The images of a final job, and its error.
    private nonisolated func events(of job: Job) -> JobEventStream {
        JobEventStream(images(of: job).map { .image($0) }, throwing: job.error)
    }

    private func watch(_ job: LiveJob) -> JobEventStream {
        job.watch { [canceller] in canceller.add(job.id) }
    }

    // MARK: - Answers

    /// A job that is not final.
    ///
    /// Ids of calls are known to the store alone: one of a finished job must not find an older job that
    /// is not finished.
    func live(_ id: String, for access: JobAccess) async -> LiveJob? {
        if let job = index.find(id, for: access) { return job }
        guard let known = try? await store.id(of: id, for: access) else { return nil }
        return index.find(known, for: access)
    }

    /// The progress of a job that is not final.
    public func progress(_ id: String, for access: JobAccess) async -> JobProgress? {
        await live(id, for: access)?.progress
    }

    /// The jobs that are not final: those that run first, then those that wait.
    public func unfinished(for access: JobAccess) -> [(id: String, progress: JobProgress)] {
        index.all(for: access).map { ($0.id, $0.progress) }
    }

    /// A job with its progress.
    public func job(
        _ id: String, for access: JobAccess
    ) async throws -> (job: Job, progress: JobProgress?)? {
        guard let job = try await store.job(id, for: access) else { return nil }
        return (job, index[job.id]?.progress)
    }

    /// The jobs of a query, the newest first.
    package func jobs(_ query: JobQuery) async throws -> [Job] { try await store.jobs(query) }

    /// The PNG file of a job's image as soon as it is finished, or `nil`.
    public func image(
        _ index: Int, of id: String, for access: JobAccess
    ) async throws -> [UInt8]? {
        if let job = self.index.find(id, for: access), let png = job.image(index)?.png {
            return png
        }
        guard let job = try await store.job(id, for: access) else { return nil }
        if let png = self.index[job.id]?.image(index)?.png { return png }
        return job.images.first { $0.index == index }.flatMap(file)
    }

    /// The PNG file of the image that a job starts from, or `nil`.
    package nonisolated func source(of job: Job) -> [UInt8]? {
        job.source.flatMap { store.sources.read($0.image) }
    }

    /// The PNG file of an image.
    public nonisolated func file(of image: Job.Image) -> [UInt8]? {
        store.files.read(image.file)
    }
}
