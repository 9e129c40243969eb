// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Foundation
import Imaging
import Parameters
package import Service

/// A job as the bucket and the queues contain it: all of it but pixels.
package struct FleetJob: Sendable, Codable, Equatable {
    /// The source image, whose files are in the stream of image files.
    package struct Source: Sendable, Codable, Equatable {
        package var image: StoredFile
        package var mask: StoredFile?
        package var strength: Double

        package init(image: StoredFile, mask: StoredFile? = nil, strength: Double) {
            self.image = image
            self.mask = mask
            self.strength = strength
        }
    }

    /// The files of a control, in the stream of image files.
    package struct Control: Sendable, Codable, Equatable {
        package var map: StoredFile?
        package var source: StoredFile?
        package var mask: StoredFile?

        package init(
            map: StoredFile? = nil, source: StoredFile? = nil, mask: StoredFile? = nil
        ) {
            self.map = map
            self.source = source
            self.mask = mask
        }
    }

    /// A finished image.
    package struct Image: Sendable, Codable, Equatable {
        package var index: Int
        package var seed: UInt64
        package var pixelDigest: String
        package var file: StoredFile
        package var promptTruncated: Bool
        package var seconds: Timings
        package var loras: [LoRANote]
        /// What generated it; absent in jobs of version 0.1.
        package var origin: ImageOrigin?

        package init(
            index: Int, seed: UInt64, pixelDigest: String, file: StoredFile,
            promptTruncated: Bool, seconds: Timings, loras: [LoRANote],
            origin: ImageOrigin? = nil
        ) {
            self.index = index
            self.seed = seed
            self.pixelDigest = pixelDigest
            self.file = file
            self.promptTruncated = promptTruncated
            self.seconds = seconds
            self.loras = loras
            self.origin = origin
        }
    }

    /// The end of a job whose deadline has passed.
    static var overdue: JobEnd { JobEnd(.failure(JobService.overdue)) }

    package var id: String
    package var model: String
    /// The request without its source and the files of its controls, which `source` and `controls` replace.
    package var request: ImageRequest
    package var source: Source?
    /// One for each control of the request; absent without controls.
    package var controls: [Control]?
    package var state = Job.State.queued
    package var requestID: String?
    package var owner: String?
    /// Unix seconds.
    package var created: Double
    package var started: Double?
    package var finished: Double?
    package var deadline: Double?
    /// How often work on it began; a worker whose attempt is not the newest may change nothing.
    package var attempts = 0
    package var failure: String?
    /// Coarse reason of `failure`, as text, since newer versions may have others; absent in jobs of
    /// version 0.1.
    package var failureCode: String?
    /// Whether `failure` says that its time was over.
    package var isOverdue = false
    /// Whether it is not tried again because its workers ended; absent in jobs of older versions.
    package var isGivenUp: Bool?
    package var images: [Image] = []
    /// The worker that has it, or had it last.
    package var worker: String?
    /// The gateway that accepted it.
    package var gateway: String?

    /// Fields of the stored JSON, which older gateways and workers read.
    private enum CodingKeys: String, CodingKey {
        case id, model, request, source, controls, state, requestID, owner, created, started,
            finished
        case deadline, attempts, failure, failureCode, isOverdue, isGivenUp, worker, gateway
        case images = "pictures"
    }

    /// A job that waits.
    package init(
        id: String, model: String, request: ImageRequest, requestID: String? = nil,
        owner: String? = nil, created: Double
    ) {
        self.id = id
        self.model = model
        self.request = request
        self.requestID = requestID
        self.owner = owner
        self.created = created
    }

    /// The job as other queues describe it.
    package func job() -> Job {
        func date(_ seconds: Double?) -> Date? { seconds.map(Date.init(timeIntervalSince1970:)) }
        return Job(
            id: id, model: model, request: request,
            source: source.map { source in
                Job.Source(
                    image: source.image.digest, mask: source.mask?.digest,
                    fileSize: source.image.size + (source.mask?.size ?? 0))
            },
            state: state, requestID: requestID, owner: owner,
            created: Date(timeIntervalSince1970: created),
            started: date(started), finished: date(finished), deadline: date(deadline),
            attempts: attempts, failure: failure, failureCode: code,
            isGivenUp: isGivenUp ?? false,
            images: images.sorted { $0.index < $1.index }.map { image in
                Job.Image(
                    index: image.index, seed: image.seed, pixelDigest: image.pixelDigest,
                    file: image.file.digest, fileSize: image.file.size,
                    promptTruncated: image.promptTruncated, seconds: image.seconds,
                    loras: image.loras, origin: image.origin)
            })
    }

    /// The coarse reason of the failure; in jobs of version 0.1 it follows from other fields.
    private var code: GenerationError.Code? {
        if let known = failureCode.flatMap(GenerationError.Code.init(rawValue:)) { return known }
        if isOverdue { return .deadline }
        return state == .cancelled && failure != nil ? .queueUnreachable : nil
    }

    /// All files that the job has.
    package var files: [StoredFile] {
        images.map(\.file) + [source?.image, source?.mask].compactMap(\.self)
            + (controls ?? []).flatMap { [$0.map, $0.source, $0.mask].compactMap(\.self) }
    }

    /// Images from the first on that need not be generated again.
    package var leading: Int {
        let done = Set(images.map(\.index))
        return (0..<request.count).first { !done.contains($0) } ?? request.count
    }

    /// What generated the images that it has.
    package var origin: ImageOrigin? { images.lazy.compactMap(\.origin).first }

    // MARK: - Changes

    /// The job with a further attempt, or `nil` where it is final or has no attempts left.
    ///
    /// Images that other kernels than those of `origin` generated are dropped: one job has images of one kind.
    package func begun(
        by worker: String, as origin: ImageOrigin? = nil, at now: Double, limit: Int
    ) -> FleetJob? {
        guard !state.isFinal, attempts < limit else { return nil }
        var job = self
        if let origin, let earlier = job.origin, !origin.isAlike(earlier) { job.images = [] }
        job.state = .running
        job.started = now
        job.attempts += 1
        job.worker = worker
        return job
    }

    /// The job with a further image, or `nil` where the attempt is an old one or the image is there.
    package func adding(_ image: Image, attempt: Int, at now: Double) -> FleetJob? {
        guard state == .running, attempts == attempt,
            !images.contains(where: { $0.index == image.index })
        else { return nil }
        var job = self
        job.images.append(image)
        if job.leading == job.request.count {
            job.state = .succeeded
            job.finished = now
        }
        return job
    }

    /// The job that ended without all images, or `nil` where it has ended already.
    package func ended(_ end: JobEnd) -> FleetJob? {
        guard !state.isFinal else { return nil }
        var job = self
        job.state = end.state
        job.failure = end.failure
        job.failureCode = end.code?.rawValue
        // Version 0.1 reads these.
        job.isOverdue = end.code == .deadline
        job.isGivenUp = end.isGivenUp ? true : nil
        job.finished = end.time.timeIntervalSince1970
        return job
    }

    /// A worker returns it to the queue for a reason outside of the job: the attempt does not count.
    package func returned(attempt: Int) -> FleetJob? {
        guard state == .running, attempts == attempt else { return nil }
        var job = self
        job.state = .queued
        job.attempts -= 1
        job.worker = nil
        return job
    }

    package var encoded: [UInt8] {
        get throws { [UInt8](try JSONEncoder().encode(self)) }
    }

    package static func decode(_ bytes: [UInt8]) throws -> FleetJob {
        var job = try JSONDecoder().decode(FleetJob.self, from: Data(bytes))
        // Older gateways state the strength with the source alone.
        if job.request.strength == nil, let strength = job.source?.strength {
            job.request = job.request.with(strength: strength)
        }
        return job
    }
}

/// A job as the bucket has it at one moment.
package struct JobRevision: Sendable, Equatable {
    package var job: FleetJob
    /// Grows with every change.
    package var revision: UInt64

    package init(job: FleetJob, revision: UInt64) {
        self.job = job
        self.revision = revision
    }
}

/// A file in the stream of image files.
package struct StoredFile: Sendable, Codable, Equatable {
    /// SHA-256 of its bytes.
    package var digest: String
    /// Its length in bytes.
    package var size: Int

    package init(digest: String, size: Int) {
        self.digest = digest
        self.size = size
    }

    /// The ranges of its parts.
    package func parts(of limit: Int) -> [Range<Int>] {
        stride(from: 0, to: max(size, 1), by: limit).map { $0..<min(size, $0 + limit) }
    }
}
