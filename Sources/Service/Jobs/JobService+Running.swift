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
        try await retryingWhileFull { try await self.store.start(job.id) }
        var done = 0
        while job.earlier.contains(where: { $0.index == done }) { done += 1 }
        guard done < job.request.count else { return }
        let rest = job.request.dropping(first: done)
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
        try await retryingWhileFull {
            let file = try self.store.files.store(png)
            try await self.store.add(
                Job.Image(
                    index: image.index, seed: image.seed, pixelDigest: image.pixelDigest,
                    file: file, fileSize: png.count, promptTruncated: image.promptTruncated,
                    seconds: image.seconds, loras: image.loras), to: job.id)
        }
    }

    /// Writes the end of a job down, reports it to the watchers and starts the next one.
    func finish(_ job: LiveJob, _ outcome: Result<Void, any Error>) async {
        timers.removeValue(forKey: job.id)?.cancel()
        let end = JobEnd(outcome, isOverdue: job.isOverdue)
        do {
            try await retryingWhileFull {
                try await self.store.finish(
                    job.id, end.state, failure: end.failure, isGivenUp: end.isGivenUp)
            }
        } catch {
            logger.error(
                "the end of a job was not written down; it runs again after a restart",
                metadata: ["job": "\(job.id)", "error": "\(error)"])
        }
        index.remove(job.id)
        runs[job.id] = nil
        job.end(end.result)
        startNext()
        await cleanUp()
    }
}

/// How a job ended: its final state, and the result that its watchers receive.
struct JobEnd {
    let result: Result<Void, any Error>
    let state: Job.State
    let failure: String?
    /// Whether its workers ended so often that it is not tried again.
    let isGivenUp: Bool

    /// The end of a run.
    ///
    /// - Parameters:
    ///   - outcome: What the run returned or threw.
    ///   - isOverdue: Whether a cancelled run was cancelled because its deadline had passed.
    init(_ outcome: Result<Void, any Error>, isOverdue: Bool) {
        var result = outcome
        if case .failure(is CancellationError) = result, isOverdue {
            result = .failure(
                GenerationError(.deadline, "The request was cancelled: its time was over."))
        }
        self.result = result
        switch result {
        case .success: (state, failure, isGivenUp) = (.succeeded, nil, false)
        case .failure(is CancellationError): (state, failure, isGivenUp) = (.cancelled, nil, false)
        case .failure(let error as GenerationError) where error.code == .deadline:
            (state, failure, isGivenUp) = (.cancelled, error.message, false)
        case .failure(let error as GenerationError) where error.code == .workerLost:
            (state, failure, isGivenUp) = (.failed, error.message, true)
        case .failure(let error): (state, failure, isGivenUp) = (.failed, "\(error)", false)
        }
    }
}
