// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Logging

extension JobService {
    /// Pause of housekeeping.
    private static let pause = Duration.seconds(30)
    /// Pause of the test whether a full disk has space again.
    private static let fullPause = Duration.seconds(5)
    /// Pause of the comparison of files and rows.
    private static let sweepPause = Duration.seconds(86_400)

    /// Begins to remove what the limits do not allow, at once and then by the clock, and to test whether a
    /// full disk has space again; ends with the service.
    public func startHousekeeping() {
        let (clock, changes) = (clock, store.space.changes)
        tasks.start { [weak self] in
            var untilSweep = Duration.zero
            while !Task.isCancelled {
                let change = changes.next
                guard let pause = await self?.keepHouse(sweeping: untilSweep <= .zero) else {
                    return
                }
                untilSweep = (untilSweep <= .zero ? Self.sweepPause : untilSweep) - pause
                _ = await change.wait(atMost: pause, clock: clock)
            }
        }
    }

    /// Does what is due, and returns the pause until the next time.
    private func keepHouse(sweeping: Bool) async -> Duration {
        if store.space.isFull, await store.testSpace() {
            logger.notice("the disk of the data folder has space again")
        }
        await removeExpiredNow()
        if let age = limits.age, await store.removeUpgradeCopy(olderThan: age) {
            logger.notice("the copy of before the upgrade was removed")
        }
        do {
            try await store.shrink()
            if sweeping { report(try await store.sweep()) }
        } catch {
            logger.warning("housekeeping of jobs failed", metadata: ["error": "\(error)"])
        }
        return store.space.isFull ? Self.fullPause : Self.pause
    }

    private func report(_ sweep: JobStore.Sweep) {
        if sweep.removed > 0 {
            logger.info(
                "files without a job removed", metadata: ["count": "\(sweep.removed)"])
        }
        guard !sweep.incomplete.isEmpty else { return }
        let names = sweep.incomplete.sorted().prefix(5).joined(separator: ", ")
        logger.warning(
            "image files of jobs are missing from the data folder",
            metadata: ["count": "\(sweep.incomplete.count)", "jobs": "\(names)"])
    }

    /// Removes old jobs where the images of a job that has ended may exceed the limit.
    func cleanUp() async {
        if store.mayExceed(limits.imageBytes) { await removeExpiredNow() }
    }

    private func removeExpiredNow() async {
        // Jobs that end together wait for one removal.
        guard !isRemoving else { return }
        isRemoving = true
        defer { isRemoving = false }
        do {
            try await removeExpired()
        } catch {
            logger.warning("old jobs were not removed", metadata: ["error": "\(error)"])
        }
    }

    /// Removes final jobs that are older, or whose images take more space, than the limits allow.
    package func removeExpired() async throws {
        let ids = try await store.expired(
            before: limits.age.map { Date(timeIntervalSinceNow: -$0) },
            imageBytes: limits.imageBytes)
        if !ids.isEmpty { _ = try await store.remove(ids) }
    }

    /// Removes a final job and its images.
    ///
    /// Returns whether there was one.
    public func remove(_ id: String, for access: JobAccess) async throws -> Bool {
        guard let known = try await store.id(of: id, for: access) else { return false }
        return try await store.remove([known]) > 0
    }

    /// Gives a finished image a star, or takes it.
    ///
    /// Returns whether there is such an image.
    public func star(
        _ index: Int, of id: String, _ isStarred: Bool, for access: JobAccess
    ) async throws -> Bool? {
        try await store.star(index, of: id, isStarred, for: access)
    }

    /// The stored images of a job, as the engine delivered them.
    nonisolated func images(of job: Job) -> [GeneratedImage] {
        job.images.compactMap { stored in
            guard let png = file(of: stored),
                let image = try? ImageDecoder.decode(png).flattened()
            else { return nil }
            var generated = GeneratedImage(
                index: stored.index, seed: stored.seed, image: image,
                pixelDigest: stored.pixelDigest, promptTruncated: stored.promptTruncated,
                seconds: stored.seconds)
            generated.png = png
            generated.loras = stored.loras
            generated.origin = stored.origin
            return generated
        }
    }

    /// Repeats what fails because the disk is full, or the database locked, until it succeeds or
    /// `storageTimeout` has passed.
    ///
    /// The system reports no event when space becomes free.
    ///
    /// - Throws: `GenerationError` of code `storage`, or what else `body` throws.
    nonisolated func retryingWhileFull<Value: Sendable>(
        _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        try await retrying(while: JobStore.isTransient, body)
    }

    /// Repeats what fails until it succeeds or `storageTimeout` has passed.
    ///
    /// - Throws: `GenerationError` of code `storage`, or what else `body` throws.
    nonisolated func retrying<Value: Sendable>(
        while isTransient: (any Error) -> Bool, _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        var policy = RetryPolicy(pause: .milliseconds(250), limit: storageTimeout)
        policy.clock = clock
        do {
            return try await policy.run(while: isTransient, body)
        } catch let error as JobStoreError where error.code != .keyReused {
            throw GenerationError(.storage, error.message)
        } catch let error as ImagingError where error.code == .diskFull {
            throw GenerationError(.storage, "\(error)")
        }
    }
}
