// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Parameters
import Service

/// A job in the answers of `/api/jobs`.
struct JobAnswer: Encodable {
    struct Progress: Encodable {
        var place: Int?
        var stepsDone: Int
        var steps: Int
        var secondsLeft: Double?

        init(_ progress: JobProgress) {
            place = progress.place
            stepsDone = progress.stepsDone
            steps = progress.steps
            secondsLeft = progress.secondsLeft
        }

        private enum CodingKeys: String, CodingKey {
            case place, steps
            case stepsDone = "steps_done"
            case secondsLeft = "seconds_left"
        }
    }

    struct Image: Encodable {
        var index: Int
        var url: String
        /// The address of the same image for clients that cannot send a key; absent without keys.
        var link: String?
        var seed: UInt64
        var pixelSHA256: String
        var promptTruncated: Bool
        var seconds: Double
        /// Reports of the LoRA files.
        var loras: [LoRANote]
        /// Device, kernels and precision; absent for images of version 0.1.
        var origin: ImageOrigin?
        /// Whether its job is kept for as long as it has a star.
        var starred = false

        private enum CodingKeys: String, CodingKey {
            case index, url, link, seed, seconds, loras, origin, starred
            case pixelSHA256 = "pixel_sha256"
            case promptTruncated = "prompt_truncated"
        }
    }

    /// A ControlNet of the job, without its map.
    struct Control: Encodable {
        var model: String
        var type: String
        var strength: Double
        var start: Double
        var end: Double

        init(_ control: ControlParameters) {
            model = control.model
            type = control.type
            strength = control.strength
            start = control.start
            end = control.end
        }
    }

    var id: String
    var object = "job"
    var state: Job.State
    var model: String
    var prompt: String
    var negativePrompt: String
    var size: String
    var steps: Int
    var guidanceScale: Double
    var sampler: Sampler
    var scheduler: NoiseSchedule
    /// Shift that the request states.
    var shift: Double?
    /// Noise levels that the request states.
    var sigmas: [Double]?
    /// Threshold of the step cache that the request states.
    var stepCache: Double?
    /// Evaluations of the model for each image.
    var evaluations: Int
    var seed: UInt64
    /// The seed that the first image mixes in.
    var variationSeed: UInt64?
    var variationStrength: Double?
    var seedVariance: SeedVariance?
    /// A second pass in a larger size.
    var hires: SecondPass?
    var n: Int
    var loras: [LoRAScale]
    /// Absent without ControlNets.
    var controls: [Control]?
    var priority: Priority
    /// Share of the schedule, for a job that started from an image.
    var strength: Double?
    /// `true` for a job that regenerates a part of its image, absent for others.
    var masked: Bool?
    var requestID: String?
    var created: Double
    var started: Double?
    var finished: Double?
    var deadline: Double?
    var attempts: Int
    var failure: String?
    /// Whether its workers ended so often that it is not tried again.
    var givenUp: Bool
    var progress: Progress?
    var images: [Image]

    /// - Parameters:
    ///   - job: the job.
    ///   - progress: the progress of a job that is not final.
    ///   - prefix: the path below which a proxy serves the service.
    init(_ job: Job, _ progress: JobProgress?, prefix: String) {
        id = job.id
        state = job.state
        model = job.model
        prompt = job.request.prompt
        negativePrompt = job.request.negativePrompt
        size = job.request.size.description
        steps = job.request.steps
        guidanceScale = job.request.guidanceScale
        sampler = job.request.sampling.sampler
        scheduler = job.request.sampling.schedule
        shift = job.request.sampling.shift
        sigmas = job.request.sampling.sigmas
        stepCache = job.request.sampling.cacheThreshold
        evaluations = job.request.evaluations
        seed = job.request.seed
        variationSeed = job.request.seeds.variation?.seed
        variationStrength = job.request.seeds.variation?.strength
        seedVariance = job.request.seeds.variance
        hires = job.request.secondPass
        n = job.request.count
        loras = job.request.loras
        controls =
            job.request.controls.isEmpty ? nil : job.request.controls.map(Control.init)
        priority = job.request.priority
        strength = job.request.strength
        masked = job.source?.mask == nil ? nil : true
        requestID = job.requestID
        created = job.created.timeIntervalSince1970
        started = job.started?.timeIntervalSince1970
        finished = job.finished?.timeIntervalSince1970
        deadline = job.deadline?.timeIntervalSince1970
        attempts = job.attempts
        failure = job.failure
        givenUp = job.isGivenUp
        self.progress = progress.map(Progress.init)
        images = job.images.map { image in
            Image(
                index: image.index, url: Self.url(job.id, image.index, prefix: prefix),
                seed: image.seed,
                pixelSHA256: image.pixelDigest, promptTruncated: image.promptTruncated,
                seconds: image.seconds.total, loras: image.loras, origin: image.origin,
                starred: image.isStarred)
        }
    }

    /// The path of an image.
    static func url(_ id: String, _ index: Int, prefix: String) -> String {
        "\(prefix)/api/jobs/\(id)/images/\(index)"
    }

    private enum CodingKeys: String, CodingKey {
        case id, object, state, model, prompt, size, steps, seed, n, loras, controls, created
        case started, finished
        case sampler, scheduler, shift, sigmas, evaluations, hires
        case attempts, failure, progress, images, strength, masked, deadline, priority
        case stepCache = "step_cache"
        case variationSeed = "variation_seed"
        case variationStrength = "variation_strength"
        case seedVariance = "seed_variance"
        case givenUp = "given_up"
        case negativePrompt = "negative_prompt"
        case guidanceScale = "guidance_scale"
        case requestID = "request_id"
    }
}

/// A page of jobs, the newest first.
struct JobList: Encodable {
    var object = "list"
    var data: [JobAnswer]
    /// Whether there are older ones; `before` the last one's id asks for them.
    var hasMore: Bool

    private enum CodingKeys: String, CodingKey {
        case object, data
        case hasMore = "has_more"
    }
}
