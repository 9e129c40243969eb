// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// Seeds that vary, and second passes, on the embedded model.
@Suite("Seeds that vary and second passes", .timeLimit(.minutes(3)))
struct SecondPassTests {
    private static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")

    private func engine() throws -> CPUEngine {
        InferenceEngine(
            pipeline: try Pipeline(
                model: try ModelDirectory(url: Self.model),
                device: try CPUBackend(precision: .f32, threads: 2)))
    }

    private func draft(seed: UInt64 = 7, count: Int = 1) -> ImageRequest.Draft {
        var draft = ImageRequest.Draft(prompt: "a red apple")
        (draft.width, draft.height, draft.steps, draft.seed) = (48, 32, 4, seed)
        draft.count = count
        return draft
    }

    private func images(
        _ draft: ImageRequest.Draft, on engine: CPUEngine
    ) throws -> [GeneratedImage] {
        let request = try ImageRequest(draft, for: engine.description)
        var images: [GeneratedImage] = []
        var last: [Int: Int] = [:]
        try engine.run(request, isCancelled: { false }) { event in
            switch event {
            case .image(let image): images.append(image)
            case .step(let image, let step, let steps, _):
                #expect(step == last[image, default: 0] + 1 && steps == request.evaluations)
                last[image] = step
            default: break
            }
        }
        #expect(last.values.allSatisfy { $0 == request.evaluations })
        return images
    }

    private func digests(
        _ draft: ImageRequest.Draft, on engine: CPUEngine
    ) throws -> [String] {
        try images(draft, on: engine).map(\.pixelDigest)
    }

    // MARK: - Seeds

    @Test("the whole of another seed's noise is that seed's image; a share is neither")
    func variation() throws {
        let engine = try engine()
        var mixed = draft(count: 2)
        mixed.variationSeed = 20
        mixed.variationStrength = 1
        let whole = try images(mixed, on: engine)
        #expect(whole.map(\.pixelDigest) == (try digests(draft(seed: 20, count: 2), on: engine)))
        #expect(whole.map(\.seed) == [7, 7])
        mixed.variationStrength = 0
        let plain = try digests(draft(count: 2), on: engine)
        #expect(try digests(mixed, on: engine) == plain)
        mixed.variationStrength = 0.2
        let some = try images(mixed, on: engine)
        #expect(Set(some.map(\.pixelDigest) + plain).count == 4)
        let request = try ImageRequest(mixed, for: engine.description)
        let text = some[1].parametersText(of: request, model: engine.description)
        #expect(text.contains("Seed: 7") && text.contains("Variation seed: 21"))
        #expect(text.contains("Variation seed strength: 0.2"))
        // A request that continues has the rest of the images.
        var rest: [String] = []
        try engine.run(request.dropping(first: 1), isCancelled: { false }) { event in
            if case .image(let image) = event { rest.append(image.pixelDigest) }
        }
        #expect(rest == [some[1].pixelDigest])
    }

    @Test("noise on the prompt is seen above its noise level alone")
    func variance() throws {
        let engine = try engine()
        let plain = try digests(draft(count: 2), on: engine)
        func varied(_ strength: Double, until: Double) throws -> [String] {
            var draft = draft(count: 2)
            var variance = SeedVariance(strength: strength)
            variance.until = until
            draft.seedVariance = variance
            return try digests(draft, on: engine)
        }
        #expect(try varied(0, until: 1) == plain)
        #expect(try varied(1, until: 0) == plain)
        // The first of 4 steps, at level 1, ends at a quarter of the times.
        let first = try varied(1, until: 0.2)
        #expect(try varied(1, until: 0.25) == first)
        let all = try varied(1, until: 1)
        #expect(Set(plain + first + all).count == 6)
    }

    // MARK: - Second passes

    @Test("a second pass has its size, its steps, and the same bytes among others")
    func secondPass() async throws {
        let engine = try engine()
        var drafts: [ImageRequest.Draft] = []
        for (index, upscaler) in SecondPass.Upscaler.allCases.enumerated() {
            var draft = draft(seed: UInt64(index), count: index == 1 ? 2 : 1)
            var pass = SecondPass.Draft()
            pass.upscaler = upscaler
            if index == 2 { (pass.width, pass.height) = (64, 64) }
            if index == 3 { pass.factor = 1.5 }
            pass.steps = [nil, 2, 3, 1][index]
            draft.secondPass = pass
            if index == 0 {
                draft.sampling.sampler = .eulerAncestral
                draft.guidanceScale = 2
            }
            if index == 2 { draft.secondPass?.sampler = .heun }
            drafts.append(draft)
        }
        let alone = try drafts.map { try images($0, on: engine) }
        let sizes = alone.map { PixelSize(width: $0[0].image.width, height: $0[0].image.height) }
        #expect(sizes.map(\.description) == ["96x64", "96x64", "64x64", "80x48"])
        #expect(alone.map { $0[0].seconds.steps.count } == [8, 6, 4 + 5, 5])
        let requests = try drafts.map { try ImageRequest($0, for: engine.description) }
        let together = try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask {
                    var digests: [String] = []
                    for try await event in engine.events(for: request, model: "emoji-nano") {
                        if case .image(let image) = event { digests.append(image.pixelDigest) }
                    }
                    return (index, digests)
                }
            }
            return try await group.reduce(into: Array(repeating: [String](), count: 4)) {
                $0[$1.0] = $1.1
            }
        }
        #expect(together == alone.map { $0.map(\.pixelDigest) })
        let text = alone[1][0].parametersText(of: requests[1], model: engine.description)
        #expect(text.contains("Size: 48x32") && text.contains("Hires resize: 96x64"))
        #expect(text.contains("Hires upscaler: Latent") && text.contains("Hires steps: 2"))
        #expect(text.contains("Denoising strength: 0.6"))
    }

    @Test("at a low strength a second pass keeps the image of the first")
    func keeps() throws {
        let engine = try engine()
        let first = try images(draft(), on: engine)[0].image
        func distance(_ strength: Double) throws -> Double {
            var draft = draft()
            draft.secondPass = .init()
            draft.secondPass?.strength = strength
            let second = try images(draft, on: engine)[0].image
            let enlarged = try first.resized(width: second.width, height: second.height)
            let squares = zip(second.pixels, enlarged.pixels).map { a, b in
                (Double(a) - Double(b)) * (Double(a) - Double(b))
            }
            return (squares.reduce(0, +) / Double(squares.count)).squareRoot()
        }
        let (low, high) = (try distance(0.1), try distance(1))
        #expect(low < 30 && low < high / 2, "\(low) \(high)")
    }

    @Test(
        "what a second pass cannot do is refused by name",
        arguments: ["hires.width", "hires.strength", "hires.steps", "hires.factor"])
    func checks(field: String) throws {
        var draft = draft()
        draft.secondPass = .init()
        switch field {
        case "hires.width": draft.secondPass?.width = 528
        case "hires.strength": draft.secondPass?.strength = 0
        case "hires.steps": draft.secondPass?.steps = 51
        default: draft.secondPass?.factor = -1
        }
        let error = #expect(throws: RequestError.self) {
            _ = try ImageRequest(draft, for: ImageRequestTests.model)
        }
        #expect(error?.field == field)
    }

    @Test("requests with seeds of their own and a second pass survive JSON, as version 2")
    func json() throws {
        var draft = draft()
        draft.variationSeed = 3
        draft.variationStrength = 0.5
        draft.noiseSize = PixelSize(width: 64, height: 64)
        draft.seedVariance = SeedVariance(strength: 0.5)
        draft.secondPass = .init()
        let request = try ImageRequest(draft, for: ImageRequestTests.model)
        let bytes = try JSONEncoder().encode(request)
        let read = try JSONDecoder().decode(ImageRequest.self, from: bytes)
        #expect(read.parameters == request.parameters)
        #expect(request.parameters.requiredVersion == 2)
        #expect(request.parameters.outputSize == PixelSize(width: 96, height: 64))
        // 4 evaluations of 48x32 and 4 of 96x64.
        #expect(request.parameters.work(strength: nil) == 4 * 48 * 32 + 4 * 96 * 64)
    }
}
