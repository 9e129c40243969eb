// Part of Inkstone. Licence: see LICENSE.

import Engine
import Logging
import Parameters

extension JobService {
    /// Runs a job to its end; cancelling the task cancels the job.
    nonisolated func run(_ job: LiveJob) async {
        let result: Result<Void, any Error>
        do {
            try await generate(job)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await withoutCancellation { await self.finish(job, result) }
    }

    /// Generates the missing images of a job; each one goes to the watchers and then to the store.
    private nonisolated func generate(_ job: LiveJob) async throws {
        // It may have been cancelled before it was in the queue.
        guard try await retryingWhileFull({ try await self.store.start(job.id) }) else {
            throw CancellationError()
        }
        var done = 0
        while job.earlier.contains(where: { $0.index == done }) { done += 1 }
        guard done < job.request.count else { return }
        var rest = job.request.dropping(first: done)
        if let source = job.source {
            rest = rest.with(source: try await store.pixels(of: source))
        }
        let model = await listing.models.first { $0.id == job.model }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for try await event in engine.events(for: rest, model: job.model).numbered(from: done) {
                guard case .image(var image) = event else {
                    job.publish(event)
                    continue
                }
                let png = try image.file(of: job.request, model: model)
                image.png = png
                job.publish(.image(image))
                group.addTask { [image] in try await self.store(image, png, of: job) }
            }
            try await group.waitForAll()
        }
        guard job.imageCount == job.request.count else {
            throw GenerationError(
                .internalFailure,
                "The engine ended after \(job.imageCount) of \(job.request.count) images.")
        }
    }

    private nonisolated func store(
        _ image: GeneratedImage, _ png: [UInt8], of job: LiveJob
    ) async throws {
        try await retryingWhileFull { try await self.store.add(image, png: png, to: job.id) }
    }

    /// Writes the end of a job down, reports it to the watchers and starts the next one.
    func finish(_ job: LiveJob, _ outcome: Result<Void, any Error>) async {
        timers.removeValue(forKey: job.id)?.cancel()
        var outcome = outcome
        if case .failure(is CancellationError) = outcome, let reason = job.cancellation {
            outcome = .failure(reason)
        }
        let end = JobEnd(outcome)
        // A detached job that the end of the process interrupts is continued by the next one.
        let continues = isStopping && end.code == .serverStopped && job.isDetached
        if !continues { await write(end, of: job.id) }
        index.remove(job.id)
        runs[job.id] = nil
        job.end(outcome)
        startNext()
        await cleanUp()
    }

    /// Writes the end of a job down, as soon as the store can be written to.
    func write(_ end: JobEnd, of id: String) async {
        do {
            try await store.finish(id, end)
        } catch {
            logger.error(
                "the end of a job is not written yet; it is tried again",
                metadata: ["job": "\(id)", "error": "\(error)"])
            writeEnds()
        }
    }

    private func writeEnds() {
        guard endWriter == nil else { return }
        endWriter = Task { [store, clock, weak self] in
            var policy = RetryPolicy.untilDone
            policy.clock = clock
            try? await policy.run(while: { !($0 is CancellationError) }) {
                try await store.writeEnds()
            }
            await self?.endsWereWritten()
        }
    }

    private func endsWereWritten() {
        endWriter = nil
        // One that came after the last write.
        if !store.ends.isEmpty { return writeEnds() }
        logger.info("the ends of jobs are written")
    }
}
