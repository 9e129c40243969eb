// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Synchronization
import Tensors
import Testing
import ZImage

/// Samplers and schedules on the embedded model, alone and among others.
@Suite("Requests with samplers of their own", .timeLimit(.minutes(3)))
struct SamplerRequestTests {
    private static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")

    private func engine(_ limits: SchedulerLimits = SchedulerLimits()) throws -> CPUEngine {
        let pipeline = try Pipeline(
            model: try ModelDirectory(url: Self.model),
            device: try CPUBackend(precision: .f32, threads: 2))
        return InferenceEngine(pipeline: pipeline, limits: limits)
    }

    private func draft(_ sampler: Sampler = .euler, steps: Int = 4) -> ImageRequest.Draft {
        var draft = ImageRequest.Draft(prompt: "a red apple")
        (draft.width, draft.height, draft.steps, draft.seed) = (48, 48, steps, 7)
        draft.sampling.sampler = sampler
        return draft
    }

    /// Digests of the images, and the steps that were reported.
    private func run(
        _ draft: ImageRequest.Draft, on engine: CPUEngine
    ) throws -> (digests: [String], steps: [Int], total: Set<Int>) {
        let request = try ImageRequest(draft, for: engine.description)
        var (digests, steps, total): ([String], [Int], Set<Int>) = ([], [], [])
        try engine.run(request, isCancelled: { false }) { event in
            switch event {
            case .image(let image):
                digests.append(image.pixelDigest)
                #expect(image.seconds.steps.count == request.evaluations)
            case .step(_, let step, let steps_, _):
                steps.append(step)
                total.insert(steps_)
            default: break
            }
        }
        return (digests, steps, total)
    }

    /// Requests that differ in sampler, schedule, size, steps, guidance, source and number of images.
    private func mixture() throws -> [ImageRequest.Draft] {
        let source = try RGBImage(
            width: 48, height: 32,
            pixels: (0..<(48 * 32 * 3)).map { UInt8(truncatingIfNeeded: $0 &* 7) })
        let mask = try RGBImage(width: 8, height: 8, filledWith: (255, 255, 255))
        return Sampler.allCases.enumerated().map { index, sampler in
            let schedules = NoiseSchedule.allCases
            var draft = draft(sampler, steps: 3 + index % 3)
            draft.sampling.schedule = schedules[index % schedules.count]
            draft.width = [48, 64, 32][index % 3]
            draft.guidanceScale = index % 4 == 1 ? 3 : 0
            draft.seed = UInt64(index)
            draft.count = index % 5 == 2 ? 2 : 1
            if index % 4 == 3 {
                draft.source = .init(image: source, mask: index % 8 == 3 ? mask : nil)
                draft.strength = 0.7
            }
            if index % 6 == 5 { draft.sampling.shift = 1.5 }
            if index % 8 == 7 { draft.sampling.strengthRule = .exactSteps }
            return draft
        }
    }

    @Test("images among others are those made alone", arguments: [1, 4096])
    func invariance(passTokens: Int) async throws {
        let engine = try engine(SchedulerLimits(running: 16, passTokens: passTokens))
        let drafts = try mixture()
        let together = try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
            for (index, draft) in drafts.enumerated() {
                let request = try ImageRequest(draft, for: engine.description)
                group.addTask {
                    var digests: [String] = []
                    for try await event in engine.events(for: request, model: "emoji-nano") {
                        if case .image(let image) = event { digests.append(image.pixelDigest) }
                    }
                    return (index, digests)
                }
            }
            return try await group.reduce(into: Array(repeating: [String](), count: drafts.count)) {
                $0[$1.0] = $1.1
            }
        }
        let other = try self.engine()
        #expect(together == (try drafts.map { try run($0, on: other).digests }))
        #expect(Set(together.flatMap(\.self)).count == together.flatMap(\.self).count)
    }

    @Test("steps are evaluations, each one reported", arguments: Sampler.allCases)
    func evaluations(sampler: Sampler) throws {
        let (_, steps, total) = try run(draft(sampler), on: try engine())
        let expected = sampler.evaluatesTwice ? 7 : 4
        #expect(steps == Array(1...expected) && total == [expected])
    }

    @Test("the model's own shift and the simple schedule change nothing where they are the same")
    func sameLevels() throws {
        let engine = try engine()
        let plain = try run(draft(), on: engine).digests
        var same = draft()
        same.sampling.schedule = .simple
        same.sampling.shift = engine.pipeline.model.schedulerConfig.shift
        #expect(try run(same, on: engine).digests == plain)
        var levels = draft()
        // 3 u / (1 + 2 u) for 1, 3/4, 1/2 and 1/4, in f32 as the schedule has them.
        levels.sampling.sigmas = [1, Double(Float(0.9)), 0.75, 0.5, 0]
        levels.steps = nil
        #expect(try run(levels, on: engine).digests == plain)
        var shifted = draft()
        shifted.sampling.shift = 1
        #expect(try run(shifted, on: engine).digests != plain)
    }

    @Test("a strength runs the last steps, or exactly as many of a longer schedule")
    func strength() throws {
        let engine = try engine()
        var draft = draft(steps: 8)
        let image = try RGBImage(width: 48, height: 48, filledWith: (200, 30, 30))
        draft.source = .init(image: image, mask: nil)
        for (strength, steps) in [(0.5, 4), (0.6, 5), (1, 8)] {
            draft.strength = strength
            draft.sampling.strengthRule = .steps
            #expect(try run(draft, on: engine).total == [steps])
            for rule in [SamplingMethod.StrengthRule.exactSteps, .noiseLevel] {
                draft.sampling.strengthRule = rule
                #expect(try run(draft, on: engine).total == [8])
            }
        }
        draft.sampling.strengthRule = .exactSteps
        draft.strength = 0.05
        #expect(try run(draft, on: engine).total == [8])
        draft.strength = 0.001
        #expect(throws: RequestError.self) { try run(draft, on: engine) }
    }

    @Test("a strength that is a noise level is the first one of the run")
    func noiseLevel() throws {
        var method = SamplingMethod()
        method.strengthRule = .noiseLevel
        let whole = method.levels(steps: 8, strength: nil) {
            NoiseSchedule.standard.levels(steps: $0, shift: 3)
        }
        let part = method.levels(steps: 8, strength: 0.5) {
            NoiseSchedule.standard.levels(steps: $0, shift: 3)
        }
        #expect(part == whole.map { $0 / 2 } && part[0] == 0.5 && part.count == 9)
        // What is left of an image at a low level is most of it.
        let engine = try engine()
        let image = try RGBImage(width: 48, height: 48, filledWith: (200, 30, 30))
        func distance(_ rule: SamplingMethod.StrengthRule) throws -> Int {
            var draft = draft(steps: 4)
            draft.source = .init(image: image, mask: nil)
            draft.strength = 0.3
            draft.sampling.strengthRule = rule
            let request = try ImageRequest(draft, for: engine.description)
            #expect(request.parameters.requiredVersion == (rule == .noiseLevel ? 3 : 2))
            var sum = 0
            try engine.run(request, isCancelled: { false }) { event in
                guard case .image(let made) = event else { return }
                sum = zip(made.image.pixels, image.pixels).reduce(0) {
                    $0 + abs(Int($1.0) - Int($1.1))
                }
            }
            return sum
        }
        // Exact steps begin at 3 u / (1 + 2 u) of u = 4 / 13, which is 0.57.
        #expect(try distance(.noiseLevel) < distance(.exactSteps))
    }

    // MARK: - Checks

    @Test(
        "what a sampler cannot do is refused by name",
        arguments: [
            ("sigmas", "begin at 1 without"), ("sigmas", "fall from each"), ("sigmas", "above 0"),
            ("sigmas", "begin at 1 or below"), ("shift", "between 0.01 and 100"),
            ("eta", "between 0"),
            ("steps", "at least 3 with scheduler bong_tangent"), ("steps", "between 1 and 50"),
        ])
    func checks(_ field: String, _ text: String) {
        var draft = draft()
        switch text {
        case "begin at 1 without": draft.sampling.sigmas = [0.9, 0]
        case "fall from each": draft.sampling.sigmas = [1, 0.5, 0.5, 0]
        case "above 0": draft.sampling.sigmas = [0]
        case "begin at 1 or below": draft.sampling.sigmas = [1.5, 0]
        case "between 0.01 and 100": draft.sampling.shift = .nan
        case "between 0": draft.sampling.eta = 1.5
        case "between 1 and 50":
            draft.sampling.sigmas = (0...51).map { 1 - Double($0) / 51 }
        default:
            draft.sampling.schedule = .bongTangent
            draft.steps = 2
        }
        let error = #expect(throws: RequestError.self) {
            _ = try ImageRequest(draft, for: ImageRequestTests.model)
        }
        #expect(error?.field == field)
        #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
    }

    @Test("a request without a sampler of its own has the JSON of before, others need version 2")
    func json() throws {
        var plain = draft()
        plain.loras = []
        let model = ImageRequestTests.model
        func object(_ draft: ImageRequest.Draft) throws -> [String: Any] {
            let bytes = try JSONEncoder().encode(try ImageRequest(draft, for: model))
            return try #require(try JSONSerialization.jsonObject(with: bytes) as? [String: Any])
        }
        let before = try object(plain)
        #expect(before["version"] as? Int == 1)
        #expect(["sampler", "scheduler", "eta", "shift"].allSatisfy { before[$0] == nil })
        var other = draft(.dpmpp2MSDE)
        other.sampling.schedule = .karras
        other.sampling.shift = 2
        other.sampling.eta = 0.5
        #expect(try object(other)["version"] as? Int == 2)
        let request = try ImageRequest(other, for: model)
        let read = try JSONDecoder().decode(
            ImageRequest.self, from: try JSONEncoder().encode(request))
        #expect(read.parameters == request.parameters)
    }
}
