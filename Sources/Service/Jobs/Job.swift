// Part of Inkstone. Licence: see LICENSE.

public import Engine
public import Foundation

/// A request and its state.
public struct Job: Sendable, Equatable, Identifiable {
    /// Where a job stands.
    ///
    /// Queued and running ones go on after a restart; the others are final.
    public enum State: String, Sendable, Codable, CaseIterable {
        case queued, running, succeeded, failed, cancelled

        /// Whether nothing more happens to it.
        public var isFinal: Bool { self != .queued && self != .running }
    }

    /// A finished image of a job.
    public struct Image: Sendable, Equatable {
        /// Index among the job's images, from 0.
        public var index: Int
        /// The seed that it was generated from.
        public var seed: UInt64
        /// SHA-256 of its pixels.
        public var pixelDigest: String
        /// SHA-256 of its PNG file, which is the file's name in the store.
        public var file: String
        /// Bytes of the file.
        public var fileSize: Int
        /// Whether the prompt was longer than the model reads.
        public var promptTruncated: Bool
        /// Where the time went.
        public var seconds: Timings
        /// What LoRA files did to it.
        public var loras: [LoRANote]
        /// What generated it; `nil` in jobs of version 0.1.
        public var origin: ImageOrigin?
        /// Whether its job is kept although the limits of age and space do not allow it.
        public var isStarred: Bool

        package init(
            index: Int, seed: UInt64, pixelDigest: String, file: String, fileSize: Int,
            promptTruncated: Bool, seconds: Timings, loras: [LoRANote] = [],
            origin: ImageOrigin? = nil, isStarred: Bool = false
        ) {
            self.index = index
            self.seed = seed
            self.pixelDigest = pixelDigest
            self.file = file
            self.fileSize = fileSize
            self.promptTruncated = promptTruncated
            self.seconds = seconds
            self.loras = loras
            self.origin = origin
            self.isStarred = isStarred
        }
    }

    /// The files of the image that a job starts from.
    public struct Source: Sendable, Equatable {
        /// SHA-256 of the image's PNG file, which is the file's name in the store.
        public var image: String
        /// SHA-256 of the mask's PNG file, if there is a mask.
        public var mask: String?
        /// Bytes of both files.
        public var fileSize: Int

        package init(image: String, mask: String? = nil, fileSize: Int) {
            self.image = image
            self.mask = mask
            self.fileSize = fileSize
        }
    }

    /// Its permanent name: `job-` and 20 letters and digits.
    public var id: String
    /// The model that generates.
    public var model: String
    /// What is generated, without the pixels that it starts from.
    public var request: ImageRequest
    /// The files of the image that it starts from.
    public var source: Source?
    /// Where it stands.
    public var state: State
    /// The id under which the client knows the call, if any.
    public var requestID: String?
    /// The id of the API key that submitted it.
    public var owner: String?
    /// When it was accepted.
    public var created: Date
    /// When work on it began, last.
    public var started: Date?
    /// When it became final.
    public var finished: Date?
    /// When it is cancelled if it is not final by then.
    public var deadline: Date?
    /// How often work on it began.
    public var attempts: Int
    /// Why it failed, or was cancelled by the service.
    public var failure: String?
    /// Coarse reason of `failure`; `nil` where there is none, and in jobs of version 0.1.
    public var failureCode: GenerationError.Code?
    /// Whether its workers ended so often that it is not tried again.
    public var isGivenUp: Bool
    /// Finished images, by index.
    public var images: [Image]

    /// A job with the given properties.
    package init(
        id: String, model: String, request: ImageRequest, source: Source? = nil, state: State,
        requestID: String? = nil, owner: String? = nil, created: Date, started: Date? = nil,
        finished: Date? = nil,
        deadline: Date? = nil, attempts: Int = 0, failure: String? = nil,
        failureCode: GenerationError.Code? = nil, isGivenUp: Bool = false, images: [Image] = []
    ) {
        self.id = id
        self.model = model
        self.request = request
        self.source = source
        self.state = state
        self.requestID = requestID
        self.owner = owner
        self.created = created
        self.started = started
        self.finished = finished
        self.deadline = deadline
        self.attempts = attempts
        self.failure = failure
        self.failureCode = failureCode
        self.isGivenUp = isGivenUp
        self.images = images
    }

    /// The error that the watchers of a final job received; `nil` for one that succeeded or is not final.
    package var error: (any Error)? {
        switch state {
        case .queued, .running, .succeeded: nil
        // Version 0.1 gave a reason for deadlines alone.
        case .cancelled:
            failure.map { GenerationError(failureCode ?? .deadline, $0) } ?? CancellationError()
        case .failed:
            GenerationError(
                failureCode ?? (isGivenUp ? .workerLost : .internalFailure),
                failure ?? "The job failed; the server's log has the reason.")
        }
    }

    /// Whether it failed for a reason that may be gone, so that another submission of its idempotency key
    /// is another attempt.
    package var mayBeSubmittedAgain: Bool {
        (error as? GenerationError)?.code.isTransient ?? false
    }
}

/// A client's particulars of a job beside the request.
public struct Submission: Sendable, Equatable {
    /// The id under which the client knows the call.
    public var requestID: String?
    /// The id of the API key that submits it.
    public var owner: String?
    /// Two submissions of an owner with the same key are one job.
    public var idempotencyKey: String?
    /// A digest of what the client sent; the same key with another content is an error.
    public var fingerprint: String?
    /// Whether it continues without watchers.
    public var isDetached: Bool
    /// Seconds after which it is cancelled.
    public var seconds: Double?

    /// A submission with these particulars.
    public init(
        requestID: String? = nil, owner: String? = nil, idempotencyKey: String? = nil,
        fingerprint: String? = nil, isDetached: Bool = false, seconds: Double? = nil
    ) {
        self.requestID = requestID
        self.owner = owner
        self.idempotencyKey = idempotencyKey
        self.fingerprint = fingerprint
        self.isDetached = isDetached
        self.seconds = seconds
    }

    /// Whether its job continues without watchers.
    ///
    /// A client that names its call comes back for it.
    package var outlivesItsCaller: Bool { isDetached || idempotencyKey != nil }

    /// Seconds after which it is cancelled where no job may take longer than `most`.
    package func seconds(atMost most: Double?) -> Double? {
        guard let most else { return seconds }
        return min(most, seconds ?? most)
    }
}

/// Which jobs a list holds: the newest first.
public struct JobQuery: Sendable, Equatable {
    /// Only jobs in these states; all when empty.
    public var states: [Job.State]
    /// Only jobs of this access.
    public var access: JobAccess
    /// Only jobs that were given up, or that were not, if given.
    public var isGivenUp: Bool?
    /// Only jobs whose prompt has every word of this text in it, if given.
    public var text: String?
    /// Only jobs with a starred image, or without one, if given.
    public var isStarred: Bool?
    /// Only jobs of this model, if given.
    public var model: String?
    /// Only jobs with this LoRA file, if given.
    public var lora: String?
    /// Only jobs that were accepted then or later, if given.
    public var since: Date?
    /// Only jobs that were accepted before, if given.
    public var until: Date?
    /// Only jobs before this one, if given: the last of the page before.
    ///
    /// There are none where the access does not include it.
    public var before: String?
    /// At most so many.
    public var limit: Int

    /// A list of the newest jobs.
    public init(
        _ access: JobAccess, states: [Job.State] = [], text: String? = nil, before: String? = nil,
        limit: Int = 50
    ) {
        self.access = access
        self.states = states
        self.text = text
        self.before = before
        self.limit = limit
    }

    /// The words of `text`; a prompt has them in any order.
    public var words: [String] {
        (text ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
    }
}

/// Why an operation of the job store failed.
public struct JobStoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Coarse reason; switch on this.
    public enum Code: Sendable, Equatable {
        /// The folder or the files in it cannot be used.
        case unusable
        /// This user may not use the folder.
        case denied
        /// The folder does not exist, or contains no job database.
        case notFound
        /// The database is damaged, or a restore was interrupted; nothing was changed.
        case damaged
        /// Another server uses the folder.
        case inUse
        /// A newer version wrote it.
        case newer
        /// No room on the disk; it may pass.
        case full
        /// Another program locks the database; it may pass.
        case locked
        /// The idempotency key was used for another request.
        case keyReused
    }

    /// Coarse reason.
    public let code: Code
    /// One sentence: what happened, where, and what to do.
    public let message: String

    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
