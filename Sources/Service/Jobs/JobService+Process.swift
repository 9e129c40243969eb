// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Logging

/// The beginning and the end of the process.
extension JobService {
    /// Continues with the jobs that were not final when the process before this one ended, as soon as a
    /// model is loaded.
    ///
    /// Jobs whose callers waited for them are cancelled: no caller can receive them. Jobs that ran as
    /// often as `Limits.attempts` when the process ended are given up.
    ///
    /// - Throws: `CancellationError`.
    public func resume() async throws {
        let attempts = limits.attempts
        let ended = try await retryingUntilDone("earlier jobs cannot be examined yet") {
            try await self.store.endInterrupted(attempts: attempts)
        }
        if ended.cancelled + ended.givenUp > 0 {
            logger.warning(
                "earlier jobs are not resumed",
                metadata: [
                    "callers gone": "\(ended.cancelled)", "given up": "\(ended.givenUp)",
                ])
        }
        try await listing.waitForModels()
        let jobs = try await retryingUntilDone("earlier jobs cannot be resumed yet") {
            try await self.store.unfinished()
        }
        guard !isStopping else { return }
        for job in jobs where index[job.id] == nil {
            enqueue(LiveJob(job, earlier: images(of: job), isDetached: true))
        }
        if !jobs.isEmpty {
            logger.info("jobs resumed", metadata: ["count": "\(jobs.count)"])
        }
        resumed.fulfil(())
    }

    /// The error of streams and callers that wait when the process is about to end.
    package static let stopped = GenerationError(
        .serverStopped,
        "The server stopped before the request was done; send it again in a moment.")

    /// The error of a request whose deadline has passed.
    package static let overdue = GenerationError(
        .deadline, "The request was cancelled: its time was over.")

    /// Ends all streams of events with `stopped`, and all runs.
    ///
    /// Jobs whose callers waited for them are cancelled. Detached ones wait in the store for the next
    /// process, with the images that they have; their attempt does not count.
    public func stop() async {
        isStopping = true
        resumed.fulfil(())
        let jobs = index.all(for: .all)
        let running = jobs.filter { runs[$0.id] != nil && $0.isDetached }.map(\.id)
        for job in jobs { job.disconnect(Self.stopped) }
        for job in jobs { await cancelNow(job.id, Self.stopped) }
        for run in runs.values { await run.value }
        do {
            try await store.returnToQueue(running)
            try await store.writeEnds()
        } catch {
            logger.error(
                "the attempts at jobs in work count, although the end is a regular one",
                metadata: ["count": "\(running.count)", "error": "\(error)"])
        }
    }

    /// Repeats what the store cannot do at present, for as long as it takes.
    ///
    /// - Throws: `CancellationError`.
    private nonisolated func retryingUntilDone<Value: Sendable>(
        _ failure: Logger.Message, _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        var policy = RetryPolicy.untilDone
        policy.clock = clock
        var isFirst = true
        return try await policy.run(
            while: { error in
                guard !(error is CancellationError) else { return false }
                if isFirst { logger.error(failure, metadata: ["error": "\(error)"]) }
                isFirst = false
                return true
            }, body)
    }
}
