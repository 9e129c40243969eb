// Part of Inkstone. Licence: see LICENSE.

package import Engine

/// Accepts requests as jobs, runs them, and stores their results.
///
/// `JobService` keeps jobs in SQLite and runs them on this machine; `FleetQueue` keeps them in NATS and
/// runs them on many. Jobs are found as `JobAccess` describes it; those of other owners do not exist for
/// the caller.
package protocol JobQueue: ImageGenerating, ModelListing {
    /// Whether jobs can be accepted and queried now.
    var isReachable: Bool { get async }

    /// Whether the last write found no space on the disk, so that no job is accepted.
    var isStorageFull: Bool { get async }

    /// Begins to remove jobs that are kept no longer, until the queue is released.
    func startHousekeeping() async

    /// Changes how long jobs may take and what is kept of them; how much is taken on stays.
    func updateLimits(_ changed: JobService.Limits) async

    /// Accepts a request: from here on it is not lost.
    ///
    /// - Parameters:
    ///   - request: What to generate.
    ///   - model: The model that generates.
    ///   - submission: Further particulars.
    ///   - onEnd: Called when the job is final, or is not accepted.
    /// - Returns: The job; with an idempotency key that was used before, the job of that time.
    /// - Throws: `GenerationError`, `JobStoreError` of code `keyReused`.
    func submit(
        _ request: ImageRequest, model: String, _ submission: Submission,
        onEnd: @escaping @Sendable () -> Void
    ) async throws -> Job

    /// The newest events of a job so far, and then all as they happen; `nil` where there is no such job.
    func watch(_ id: String, for access: JobAccess) async throws -> JobEventStream?

    /// The progress of a job that is not final.
    func progress(_ id: String, for access: JobAccess) async -> JobProgress?

    /// The jobs that are not final: those that run first, then those that wait.
    func unfinished(for access: JobAccess) async -> [(id: String, progress: JobProgress)]

    /// Cancels a job within one step. Returns whether there was one that was not final.
    @discardableResult
    func cancel(_ id: String, for access: JobAccess) async -> Bool

    /// Removes a final job and its images. Returns whether there was one.
    func remove(_ id: String, for access: JobAccess) async throws -> Bool

    /// Gives a finished image a star, or takes it: jobs with one are kept although the limits do not allow it.
    ///
    /// Returns whether there is such an image; `nil` where the queue has no stars.
    func star(
        _ index: Int, of id: String, _ isStarred: Bool, for access: JobAccess
    ) async throws -> Bool?

    /// A job with its progress.
    func job(_ id: String, for access: JobAccess) async throws -> (
        job: Job, progress: JobProgress?
    )?

    /// The jobs of a query, the newest first.
    func jobs(_ query: JobQuery) async throws -> [Job]

    /// The PNG file of a job's image as soon as it is finished, or `nil`.
    func image(_ index: Int, of id: String, for access: JobAccess) async throws -> [UInt8]?

    /// The PNG file of the image that a job starts from, or `nil`.
    func source(of job: Job) async throws -> [UInt8]?

    /// An owner's jobs at other gateways of the same queue.
    func elsewhere(_ owner: String) async -> KeyUsage.Elsewhere

    /// Continues with the jobs that were not final when the process before this one ended, as soon as a
    /// model is loaded.
    func resume() async throws

    /// Ends all streams of events with a `GenerationError` of code `serverStopped`, at the end of the
    /// process.
    ///
    /// Jobs whose callers waited for them are cancelled; detached ones are continued by another process.
    func stop() async
}

extension JobQueue {
    /// `nil`: the queue has no stars.
    package func star(
        _: Int, of _: String, _: Bool, for _: JobAccess
    ) async throws -> Bool? { nil }

    /// Empty: there are no other gateways.
    package func elsewhere(_ owner: String) async -> KeyUsage.Elsewhere { KeyUsage.Elsewhere() }

    /// Runs a request as a job that is cancelled when the iteration ends early.
    package func events(for request: ImageRequest, model: String) -> JobEventStream {
        events(for: request, model: model, Submission(), report: nil)
    }

    /// Runs a request as a job with the given particulars.
    ///
    /// Unless it is detached, or has an idempotency key, the job is cancelled when the iteration
    /// ends early. `report` records the moments of the job; `onAccept` is called when it is accepted, `onEnd` when
    /// the stream ends.
    package func events(
        for request: ImageRequest, model: String, _ submission: Submission,
        report: JobReport? = nil, onAccept: @escaping @Sendable (Job) -> Void = { _ in },
        onEnd: @escaping @Sendable () -> Void = {}
    ) -> JobEventStream {
        report?.submit(.now)
        // The closure runs as long as the job; the pixels of a source are stored when it is accepted.
        let request = Handover(request)
        return JobEventStream { feed in
            guard let request = request.take() else { return }
            let job = try await submit(request, model: model, submission, onEnd: {})
            onAccept(job)
            if let events = try await watch(job.id, for: .all) { try await feed.forward(events) }
        }.observe(
            onEvent: { if case .started = $0 { report?.start(.now) } },
            onEnd: { _ in
                report?.end(.now)
                onEnd()
            })
    }
}
