// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// Requests on the embedded model: order of events, cancellation, the limit of the queue.
@Suite("The engine reports the events of requests")
struct InferenceEngineTests {
    private static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")

    private func engine(_ limits: SchedulerLimits = SchedulerLimits()) throws -> InferenceEngine<
        CPUBackend
    > {
        let pipeline = try Pipeline(
            model: try ModelDirectory(url: Self.model),
            device: try CPUBackend(precision: .f32, threads: 2))
        return InferenceEngine(pipeline: pipeline, limits: limits)
    }

    private func request(
        _ engine: InferenceEngine<CPUBackend>, steps: Int = 3, count: Int = 1, seed: UInt64 = 7
    ) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: "a red apple")
        draft.steps = steps
        draft.count = count
        draft.seed = seed
        return try ImageRequest(draft, for: engine.description)
    }

    @Test("the model's description comes from its manifest")
    func description() throws {
        let description = try engine().description
        #expect(description.id == "emoji-nano")
        #expect(description.defaults.size == PixelSize(width: 128, height: 128))
        #expect(description.limits.sizeMultiple == 16)
        #expect(description.precision == "f32")
        #expect(description.parameterCount > 10_000_000)
        #expect(description.examples["zh"]?.isEmpty == false)
        #expect(description.words?["en"]?.contains("cat") == true)
        #expect(description.words?["zh"]?.contains("猫") == true)
        #expect(description.withoutWords.words == nil)
    }

    @Test("queued, started, steps with previews, picture", .timeLimit(.minutes(5)))
    func events() async throws {
        let engine = try engine()
        var story: [String] = []
        for try await event in engine.events(
            for: try request(engine), model: engine.description.id)
        {
            switch event {
            case .queued(let position): story.append("queued \(position)")
            case .started: story.append("started")
            case .step(let image, let step, let steps, let seconds):
                #expect(seconds > 0)
                story.append("step \(image) \(step)/\(steps)")
            case .preview(let image, let step, let picture):
                #expect(picture.width == 16)
                story.append("preview \(image) \(step)")
            case .image(let image):
                #expect(image.pixelDigest.count == 64)
                #expect(image.seconds.steps.count == 3)
                story.append("image \(image.index) \(image.seed)")
            }
        }
        #expect(
            story == [
                "queued 0", "started", "step 0 1/3", "preview 0 1", "step 0 2/3", "preview 0 2",
                "step 0 3/3", "image 0 7",
            ])
    }

    @Test("pictures of one request are those of single requests", .timeLimit(.minutes(5)))
    func count() async throws {
        let engine = try engine()
        func digests(_ request: ImageRequest) throws -> [String] {
            var digests: [String] = []
            try engine.run(request, isCancelled: { false }) { event in
                if case .image(let image) = event { digests.append(image.pixelDigest) }
            }
            return digests
        }
        let together = try digests(try request(engine, count: 3))
        let apart = try (7...9).flatMap { try digests(try request(engine, seed: $0)) }
        #expect(together == apart)
        #expect(Set(together).count == 3)
    }

    @Test("cancelling takes effect before the next step")
    func cancel() throws {
        let engine = try engine()
        var steps = 0
        #expect(throws: CancellationError.self) {
            try engine.run(
                try request(engine, steps: 50), isCancelled: { steps == 2 }
            ) { event in
                if case .step = event { steps += 1 }
            }
        }
        #expect(steps == 2)
    }

    @Test("ending the iteration cancels, and the next request runs", .timeLimit(.minutes(5)))
    func endIteration() async throws {
        let engine = try engine()
        for try await event in engine.events(
            for: try request(engine, steps: 200), model: "emoji-nano")
        {
            if case .step = event { break }
        }
        var finished = false
        for try await event in engine.events(for: try request(engine), model: "emoji-nano") {
            if case .image = event { finished = true }
        }
        #expect(finished)
    }

    @Test("more requests than may wait are refused as busy", .timeLimit(.minutes(5)))
    func busy() async throws {
        let engine = try engine(SchedulerLimits(running: 1, waiting: 1))
        let streams = try (0..<3).map { _ in
            engine.events(for: try request(engine, steps: 20), model: "emoji-nano")
        }
        var codes: [GenerationError.Code?] = []
        for stream in streams {
            do {
                for try await _ in stream {}
                codes.append(nil)
            } catch let error as GenerationError {
                codes.append(error.code)
            }
        }
        #expect(codes == [nil, nil, .busy])
    }

    @Test("a request without a reader is removed from the queue", .timeLimit(.minutes(5)))
    func abandoned() async throws {
        let engine = try engine(SchedulerLimits(running: 1, waiting: 1))
        let running = engine.events(for: try request(engine, steps: 40), model: "emoji-nano")
        let abandoned = Task {
            for try await _ in engine.events(for: try request(engine), model: "emoji-nano") {}
        }
        // It waits once its place is reported; then its reader leaves.
        var iterator = running.makeAsyncIterator()
        _ = try await iterator.next()
        abandoned.cancel()
        _ = await abandoned.result
        var finished = false
        for try await event in engine.events(for: try request(engine), model: "emoji-nano") {
            if case .image = event { finished = true }
        }
        #expect(finished)
        while try await iterator.next() != nil {}
    }

    @Test("another model than the loaded one is refused")
    func unknownModel() async throws {
        let engine = try engine()
        await #expect(throws: GenerationError.self) {
            for try await _ in engine.events(for: try request(engine), model: "other") {}
        }
    }
}
