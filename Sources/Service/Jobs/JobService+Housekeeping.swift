// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Logging

extension JobService {
    /// Removes old jobs at most once a minute; called when a job ends.
    func cleanUp() async {
        guard .now - lastCleanUp > .seconds(60) else { return }
        lastCleanUp = .now
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
        var policy = RetryPolicy(pause: .milliseconds(250), limit: storageTimeout)
        policy.clock = clock
        do {
            return try await policy.run(while: Self.isTransient, body)
        } catch let error as JobStoreError where error.code != .keyReused {
            throw GenerationError(.storage, error.message)
        } catch let error as ImagingError where error.code == .diskFull {
            throw GenerationError(.storage, "\(error)")
        }
    }

    private static func isTransient(_ error: any Error) -> Bool {
        switch error {
        case let error as JobStoreError: [.full, .locked].contains(error.code)
        case let error as ImagingError: error.code == .diskFull
        default: false
        }
    }
}
