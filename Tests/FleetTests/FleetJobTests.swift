// Part of Inkstone. Licence: see LICENSE.

import Engine
import Fleet
import Parameters
import Service
import Testing

/// What may happen to a job, and what may not.
struct FleetJobTests {
    private func job(count: Int = 2) throws -> FleetJob {
        var draft = ImageRequest.Draft(prompt: "a fish")
        draft.count = count
        draft.seed = 1
        return FleetJob(
            id: "job-1", model: "m", request: try ImageRequest(draft, for: .small), created: 0)
    }

    private func origin(_ kernels: String, precision: String = "int8") -> ImageOrigin {
        ImageOrigin(device: "cpu", kernels: kernels, precision: precision)
    }

    private func image(_ index: Int, by origin: ImageOrigin? = nil) -> FleetJob.Image {
        FleetJob.Image(
            index: index, seed: 1, pixelDigest: "d", file: StoredFile(digest: "f", size: 1),
            promptTruncated: false, seconds: Timings(text: 0, steps: [], decode: 0, total: 0),
            loras: [], origin: origin)
    }

    @Test func aFurtherAttemptKeepsImagesOfItsOwnKernels() throws {
        let first = try #require(
            try job().begun(by: "a", as: origin("avx2"), at: 1, limit: 4)?
                .adding(image(0, by: origin("avx2")), attempt: 1, at: 2))
        #expect(first.origin == origin("avx2"))
        #expect(try FleetJob.decode(first.encoded) == first)
        func next(_ origin: ImageOrigin?, after job: FleetJob) throws -> FleetJob {
            try #require(job.begun(by: "b", as: origin, at: 3, limit: 4))
        }
        // On another GPU of the same name the bytes are the same.
        var twin = origin("avx2")
        twin.device = "vulkan:1"
        #expect(try next(twin, after: first).leading == 1)
        #expect(try next(nil, after: first).leading == 1)
        for other in [origin("vulkan Card"), origin("avx2", precision: "f32")] {
            let again = try next(other, after: first)
            #expect(again.leading == 0 && again.images.isEmpty && again.attempts == 2)
        }
        // Nothing is known of images of version 0.1.
        let old = try #require(
            try job().begun(by: "a", at: 1, limit: 4)?.adding(image(0), attempt: 1, at: 2))
        #expect(try next(origin("avx512"), after: old).leading == 1)
    }

    @Test func endsWithItsLastImage() throws {
        let begun = try #require(try job().begun(by: "a", at: 1, limit: 4))
        #expect(begun.state == .running && begun.attempts == 1 && begun.worker == "a")
        let half = try #require(begun.adding(image(1), attempt: 1, at: 2))
        #expect(half.state == .running && half.leading == 0 && half.finished == nil)
        let whole = try #require(half.adding(image(0), attempt: 1, at: 3))
        #expect(whole.state == .succeeded && whole.finished == 3)
        #expect(try FleetJob.decode(whole.encoded) == whole)
    }

    @Test func onlyTheNewestAttemptChangesAnything() throws {
        let first = try #require(try job().begun(by: "a", at: 1, limit: 4))
        let second = try #require(first.begun(by: "b", at: 2, limit: 4))
        #expect(second.adding(image(0), attempt: 1, at: 3) == nil)
        #expect(second.returned(attempt: 1) == nil)
        let done = try #require(second.adding(image(0), attempt: 2, at: 3))
        #expect(done.adding(image(0), attempt: 2, at: 4) == nil, "a picture is there once")
    }

    @Test func nothingFollowsTheEnd() throws {
        let ended = try #require(try job().ended(JobEnd(.cancelled)))
        #expect(ended.ended(JobEnd(.failed, "late")) == nil)
        #expect(ended.begun(by: "a", at: 2, limit: 4) == nil)
        #expect(ended.adding(image(0), attempt: 0, at: 2) == nil)
    }

    @Test func attemptsEndButReturningIsNone() throws {
        let begun = try #require(try job().begun(by: "a", at: 1, limit: 1))
        #expect(begun.begun(by: "b", at: 2, limit: 1) == nil)
        let back = try #require(begun.returned(attempt: 1))
        #expect(back.state == .queued && back.attempts == 0)
        #expect(back.begun(by: "b", at: 2, limit: 1) != nil)
    }
}

extension ModelDescription {
    /// Limits for requests of tests.
    static let small = ModelDescription(
        id: "m", name: "M", summary: [:], license: "",
        defaults: ModelDefaults(
            size: PixelSize(width: 64, height: 64), steps: 2, guidanceScale: 0, negativePrompt: ""),
        limits: ModelLimits(
            maximumWidth: 128, maximumHeight: 128, maximumSteps: 50, maximumCount: 8,
            maximumPromptLength: 100, sizeMultiple: 16),
        sizes: [], presets: [], examples: [:], parameterCount: 1, precision: "f32",
        kernels: "portable", loadedAt: 0)
}
