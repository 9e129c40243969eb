// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// The step cache on the embedded model, alone and among others.
@Suite("Steps that are left out", .timeLimit(.minutes(3)))
struct StepCacheTests {
    private static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")

    private func engine(_ limits: SchedulerLimits = SchedulerLimits()) throws -> CPUEngine {
        InferenceEngine(
            pipeline: try Pipeline(
                model: try ModelDirectory(url: Self.model),
                device: try CPUBackend(precision: .f32, threads: 2)),
            limits: limits)
    }

    private func draft(_ threshold: Double?, steps: Int = 28) -> ImageRequest.Draft {
        var draft = ImageRequest.Draft(prompt: "a red apple")
        (draft.width, draft.height, draft.steps, draft.seed) = (48, 48, steps, 7)
        draft.guidanceScale = 5
        draft.sampling.cacheThreshold = threshold
        return draft
    }

    /// The image, and the seconds of each step as reported.
    private func run(
        _ draft: ImageRequest.Draft, on engine: CPUEngine
    ) throws -> (image: GeneratedImage, seconds: [Double], request: ImageRequest) {
        let request = try ImageRequest(draft, for: engine.description)
        var image: GeneratedImage?
        var seconds: [Double] = []
        try engine.run(request, isCancelled: { false }) { event in
            switch event {
            case .image(let made): image = made
            case .step(_, let step, let steps, let elapsed):
                seconds.append(elapsed)
                #expect(step == seconds.count && steps == request.evaluations)
            default: break
            }
        }
        #expect(seconds.count == request.evaluations)
        return (try #require(image), seconds, request)
    }

    // MARK: - The rule

    @Test("an output is used again while the expected changes add up to less than the threshold")
    func rule() throws {
        let conditions = StepCache.Conditions(branches: 2)
        var cache = StepCache(threshold: 0.25)
        func reuse(_ x: Float, _ evaluation: Int = 5, of count: Int = 20) -> [[Float]]? {
            cache.reuse(at: [x, x], conditions, evaluation: evaluation, of: count)
        }
        #expect(reuse(1) == nil)
        cache.record([[4, 4], [1, 1]], at: [1, 1], conditions)
        // One evaluation says nothing about changes.
        #expect(reuse(0.9) == nil)
        // The output changes by 2 where the latents change by 1.
        cache.record([[2, 2], [3, 1]], at: [0, 0], conditions)
        // Expected: 2 * 0.0625 / 2 = 0.0625; outputs are negative velocities, which move with the latents.
        #expect(reuse(-0.0625) == [[2.0625, 2.0625], [3.0625, 1.0625]])
        // 0.0625 + 0.125 < 0.25, and 0.0625 more is not.
        #expect(reuse(-0.125) == [[2.125, 2.125], [3.125, 1.125]])
        #expect(reuse(-0.0625) == nil)
        cache.record([[2, 2], [3, 1]], at: [1, 1], conditions)
        // An output that did not change is used 3 times.
        #expect((0..<5).map { reuse(Float($0)) != nil } == [true, true, true, false, false])
        cache.record([[2, 2], [3, 1]], at: [2, 2], conditions)
        #expect(reuse(3, 2) == nil && reuse(3, 18) == nil && reuse(3, 19) == nil)
        #expect(reuse(3, 3) != nil && reuse(3, 17) != nil)
        let other = StepCache.Conditions(branches: 1)
        #expect(cache.reuse(at: [3, 3], other, evaluation: 5, of: 20) == nil)
        cache.record([[2, 2]], at: [3, 3], other)
        #expect(cache.reuse(at: [3, 3], other, evaluation: 5, of: 20) == nil)
    }

    // MARK: - Images

    @Test("a threshold that nothing stays below changes nothing; 0.1 leaves out a third at 35 dB")
    func images() throws {
        let engine = try engine()
        let plain = try run(draft(nil), on: engine)
        #expect(plain.image.seconds.steps.count == 28 && plain.seconds.allSatisfy { $0 > 0 })
        let none = try run(draft(1e-9), on: engine)
        #expect(none.image.pixelDigest == plain.image.pixelDigest)
        #expect(none.image.seconds.steps.count == 28)
        let cached = try run(draft(0.1), on: engine)
        let count = cached.image.seconds.steps.count
        #expect(cached.seconds.count { $0 > 0 } == count)
        #expect(Double(count) <= 28 / 1.5, "\(count)")
        #expect(try psnr(cached.image.image, plain.image.image) >= 35)
        // The first three and the last two are evaluated, and one of four.
        #expect(cached.seconds.prefix(3).allSatisfy { $0 > 0 })
        #expect(cached.seconds.suffix(2).allSatisfy { $0 > 0 })
        #expect(
            cached.seconds.split(omittingEmptySubsequences: true) { $0 > 0 }.allSatisfy {
                $0.count <= 3
            })
        let text = cached.image.parametersText(of: cached.request, model: engine.description)
        #expect(text.contains("Step cache: 0.1") && text.contains("Steps left out: \(28 - count)"))
        // Of few steps none may be left out.
        let short = try run(draft(1, steps: 5), on: engine)
        #expect(short.image.seconds.steps.count == 5)
    }

    @Test("images with a cache among others are those alone", arguments: [1, 4096])
    func invariance(passTokens: Int) async throws {
        let together = try engine(SchedulerLimits(running: 8, passTokens: passTokens))
        let samplers: [Sampler] = [.euler, .dpmpp2M, .eulerAncestral, .uniPC, .lcm, .resMultistep]
        let requests = try samplers.enumerated().map { index, sampler in
            var draft = draft([nil, 0.1, 0.3][index % 3], steps: 10 + index)
            draft.sampling.sampler = sampler
            draft.guidanceScale = index % 2 == 0 ? 3 : 0
            if index == 4 { draft.cfgTruncation = 0.6 }
            if index == 5 { draft.secondPass = .init() }
            draft.seed = UInt64(index)
            return try ImageRequest(draft, for: together.description)
        }
        let results = try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask {
                    var digest = ""
                    for try await event in together.events(for: request, model: "emoji-nano") {
                        if case .image(let image) = event { digest = image.pixelDigest }
                    }
                    return (index, digest)
                }
            }
            return try await group.reduce(into: [Int: String]()) { $0[$1.0] = $1.1 }
        }
        let fresh = try engine()
        for (index, request) in requests.enumerated() {
            var digest = ""
            try fresh.run(request, isCancelled: { false }) { event in
                if case .image(let image) = event { digest = image.pixelDigest }
            }
            #expect(digest == results[index], "\(index)")
        }
    }

    @Test(
        "what a step cache cannot do is refused by name",
        arguments: [("step_cache", 0.0), ("step_cache", 1.5), ("sampler", 0.1), ("tiles", 0.1)])
    func checks(_ case: String, _ threshold: Double) throws {
        var draft = draft(threshold)
        if `case` == "sampler" { draft.sampling.sampler = .heun }
        if `case` == "tiles" {
            draft.secondPass = .init()
            draft.secondPass?.tileSide = 48
        }
        let error = #expect(throws: RequestError.self) {
            _ = try ImageRequest(draft, for: ImageRequestTests.model)
        }
        #expect(error?.field == (`case` == "sampler" ? "sampler" : "step_cache"))
    }

    @Test("a request with a cache survives JSON, as version 3")
    func json() throws {
        let request = try ImageRequest(draft(0.1), for: ImageRequestTests.model)
        #expect(request.parameters.requiredVersion == 3)
        let bytes = try JSONEncoder().encode(request)
        #expect(try JSONDecoder().decode(ImageRequest.self, from: bytes) == request)
        let plain = try JSONEncoder().encode(
            try ImageRequest(draft(nil), for: ImageRequestTests.model))
        #expect(!String(decoding: plain, as: UTF8.self).contains("stepCache"))
    }
}
