// Part of Inkstone. Licence: see LICENSE.

public import Engine
import Foundation
import Logging
import Parameters

extension JobService {
    /// Accepts a request: from here on it is not lost.
    ///
    /// - Parameters:
    ///   - request: What to generate.
    ///   - model: The model that generates.
    ///   - submission: Further particulars.
    ///   - onEnd: Called when the job is final, or is not accepted.
    /// - Returns: The job; with an idempotency key that was used before, the job of that time.
    /// - Throws: `GenerationError` of code `busy` or `storage`, `JobStoreError` of code `keyReused`.
    public func submit(
        _ request: ImageRequest, model: String, _ submission: Submission = Submission(),
        onEnd: @escaping @Sendable () -> Void = {}
    ) async throws -> Job {
        do {
            let job = try await accept(request, model, submission)
            if let live = index[job.id] { live.whenEnded(onEnd) } else { onEnd() }
            return job
        } catch {
            onEnd()
            throw error
        }
    }

    private func accept(
        _ request: ImageRequest, _ model: String, _ submission: Submission
    ) async throws -> Job {
        guard !isStopping else { throw Self.stopped }
        var submission = submission
        submission.seconds = submission.seconds(atMost: limits.seconds)
        let submitted = submission
        guard index.reserve(limit: limits.unfinished) else {
            throw GenerationError(
                .busy, "\(limits.unfinished) jobs are waiting already; try again in a moment.")
        }
        defer { index.release() }
        let (job, isNew) = try await insert(request, model, submitted)
        if isNew {
            enqueue(LiveJob(job, earlier: [], isDetached: submission.outlivesItsCaller))
        }
        return job
    }

    /// Stores a new job; fails immediately if there is no space.
    private func insert(
        _ request: ImageRequest, _ model: String, _ submission: Submission
    ) async throws -> (job: Job, isNew: Bool) {
        guard await store.hasSpace() else {
            if let known = try await store.known(submission) { return (known, false) }
            throw GenerationError(.storage, StorageSpace.refusal)
        }
        return try await retrying(while: JobStore.isLocked) {
            try await self.store.insert(request, model: model, submission)
        }
    }

    func enqueue(_ job: LiveJob) {
        index.insert(
            job, id: job.id, owner: job.owner, priority: job.request.priority)
        if let deadline = job.deadline { startTimer(of: job, deadline) }
        startNext()
    }

    private func startTimer(of job: LiveJob, _ deadline: Date) {
        timers[job.id] = Task { [clock, weak self] in
            try await clock.sleep(for: .seconds(max(0, deadline.timeIntervalSinceNow)))
            await self?.cancelNow(job.id, Self.overdue)
        }
    }

    /// Starts waiting jobs, as many as may run, and reports the places of the others.
    func startNext() {
        guard !isStopping else { return }
        while let job = index.startNext(limit: limits.running) {
            runs[job.id] = Task { await self.run(job) }
        }
        for (place, job) in index.waiting.enumerated() {
            job.publish(.queued(position: place))
        }
    }

    // MARK: - Cancelling

    /// Cancels a job within one step.
    ///
    /// Returns whether there was one that was not final.
    @discardableResult
    public func cancel(_ id: String, for access: JobAccess) async -> Bool {
        if let job = await live(id, for: access) {
            await cancelNow(job.id)
            return true
        }
        // A job that does not run: it is not resumed yet, or its end was never written.
        guard let id = try? await store.unfinishedID(of: id, for: access) else { return false }
        if index[id] != nil {
            await cancelNow(id)
        } else {
            await withoutCancellation { await self.write(JobEnd(.cancelled), of: id) }
        }
        return true
    }

    /// Cancels all jobs that are not final.
    public func cancelAll() async {
        for id in index.ids { await cancelNow(id) }
    }

    /// Cancels the run of a job, or takes it out of the queue.
    ///
    /// - Parameters:
    ///   - id: The job.
    ///   - reason: What its watchers receive.
    func cancelNow(_ id: String, _ reason: any Error = CancellationError()) async {
        index[id]?.recordCancellation(reason)
        if let run = runs[id] {
            run.cancel()
        } else if let job = index.withdraw(id) {
            // The caller may be cancelled itself, as a timer is by the end of its job: the end is
            // written down all the same.
            await withoutCancellation { await self.finish(job, .failure(CancellationError())) }
        }
    }
}
