// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
import Foundation
import Imaging
import Parameters
import Service
import Testing
import ZImage

/// What version 0.1 has stored and sent is read for ever: see `Tests/Fixtures/formats/README.md`.
@Suite("Formats of published versions")
struct StoredFormatTests {
    /// The recorded bytes of a name.
    static func bytes(_ name: String) throws -> [UInt8] {
        let folder = WorkerBench.repository.appending(path: "Tests/Fixtures/formats")
        return [UInt8](try Data(contentsOf: folder.appending(path: name)))
    }

    // MARK: - Requests

    /// The requests that were recorded, by the name of their files.
    enum Recorded: String, CaseIterable {
        /// Nothing but a prompt, a size, steps and a seed: as rows were before there were LoRA files
        /// and priorities.
        case plain
        /// Every field but a source.
        case text
        /// A source image with a mask.
        case source

        /// The request that the recorded one must be.
        func request() throws -> ImageRequest {
            var draft = ImageRequest.Draft(prompt: "a red apple")
            (draft.width, draft.height) = (64, 48)
            draft.steps = 2
            switch self {
            case .plain:
                (draft.width, draft.height) = (128, 128)
                draft.seed = 1
            case .text:
                draft.prompt = "一颗红苹果, \"quoted\""
                draft.negativePrompt = "蓝色, blurry"
                draft.guidanceScale = 2.5
                draft.cfgNormalization = 0.75
                draft.cfgTruncation = 0.5
                draft.seed = 4_294_967_303
                draft.count = 2
                draft.loras = [LoRAScale("pixel", scale: -0.5), LoRAScale("sketch", scale: 0.25)]
                draft.priority = .high
            case .source:
                draft.prompt = "a tree"
                draft.steps = 4
                draft.seed = 3
                draft.priority = .low
                draft.source = ImageRequest.Source(
                    image: try Self.image { [$0 * 16, $1 * 16, $0 * $1] },
                    mask: try Self.image { x, _ in Array(repeating: x < 8 ? 255 : 0, count: 3) })
                draft.strength = 0.5
            }
            return try ImageRequest(draft, for: .example)
        }

        private static func image(_ pixel: (Int, Int) -> [Int]) throws -> RGBImage {
            let pixels = (0..<256).flatMap { pixel($0 % 16, $0 / 16) }
            return try RGBImage(
                width: 16, height: 16, pixels: pixels.map { UInt8(truncatingIfNeeded: $0) })
        }
    }

    @Test("requests as rows have them", arguments: Recorded.allCases)
    func row(_ recorded: Recorded) throws {
        let bytes = try Self.bytes("request-\(recorded.rawValue).json")
        let request = try JSONDecoder().decode(ImageRequest.self, from: Data(bytes))
        #expect(request == (try recorded.request()))
    }

    // MARK: - The data folder

    @Test("a database of jobs")
    func database() async throws {
        let folder = try TemporaryFolder()
        try Data(try Self.bytes("jobs.sqlite"))
            .write(to: folder.url.appending(path: "jobs.sqlite"))
        let store = try JobStore(folder: folder.url)
        #expect(store.upgrade != nil)
        let jobs = try await store.jobs(JobQuery(.all))
        #expect(
            jobs.map { "\($0.request.prompt): \($0.state)" } == [
                "waits: queued", "in work: running", "cancelled: cancelled", "too late: cancelled",
                "a broken one: failed", "a tree: succeeded",
                "一颗红苹果, \"quoted\": succeeded", "a red apple: succeeded",
            ])
        for (job, recorded) in zip(jobs.suffix(3).reversed(), Recorded.allCases) {
            // In the order of their creation: plain, text, source.
            let request = try recorded.request()
            #expect(job.request == request.with(source: nil))
            if let source = job.source {
                #expect(try await store.pixels(of: source) == request.source)
            } else {
                #expect(request.source == nil)
            }
            #expect(job.images.count == job.request.count && job.attempts == 1)
        }
        #expect(jobs[0].request.strength == 0.25)
        #expect(jobs[4].failure?.hasPrefix("'broken.safetensors' has 5000 bytes") == true)
        #expect(jobs[7].requestID == "first" && jobs[7].created.timeIntervalSince1970 > 1.7e9)
        let second = try #require(jobs[6].images.last)
        #expect(second.index == 1 && second.seed == 4_294_967_304 && second.fileSize == 6874)
        #expect(second.loras.map(\.matched) == [42, 42] && second.seconds.steps.count == 2)
        #expect(jobs[6].deadline != nil && !jobs[6].isGivenUp)
        #expect(try await store.job("first", for: .all)?.id == jobs[7].id)
        // That version did not store which callers wait: its unfinished jobs are run.
        let ended = try await store.endInterrupted(attempts: 3)
        #expect(ended.cancelled == 0 && ended.givenUp == 0)
        #expect(try await store.unfinished().count == 2)
    }

    @Test("a file of keys")
    func keys() throws {
        let folder = try TemporaryFolder()
        try Data(try Self.bytes("keys.json")).write(to: folder.url.appending(path: "keys.json"))
        let keys = try KeyStore(folder: folder.url)
        let ann = try #require(keys.key("ink-AbZHh30jimQevDc23X8D6VT1i2ZvBLjzKOmADzCW"))
        #expect(ann.name == "ann" && ann.scope == .generate && ann.perMinute == 30)
        #expect(ann.priority == .high && ann.concurrency == nil)
        #expect(keys.keys.map(\.name) == ["ann", "root"] && keys.keys[1].scope == .admin)
        #expect(keys.key("ink-wrong") == nil)
        // Their holders keep the jobs that they have made: those belong to the names.
        #expect(keys.keys.map(\.id) == ["ann", "root"])
        _ = try keys.add("bob", scope: .generate)
        let again = try KeyStore(folder: folder.url)
        #expect(again.keys.prefix(2).map(\.id) == ["ann", "root"] && again.keys[2].id != "bob")
    }

    // MARK: - Workers

    @Test("a description of a model")
    func model() throws {
        let bytes = try Self.bytes("model-description.json")
        let model = try JSONDecoder().decode(ModelDescription.self, from: Data(bytes))
        #expect(model.id == "emoji-nano" && model.parameterCount == 13_005_171)
        #expect(model.defaults.size == PixelSize(width: 128, height: 128))
        #expect(model.limits.maximumLoRAs == 8 && model.limits.sizeMultiple == 16)
        #expect(model.presets.map(\.id) == ["turbo", "large", "guided"])
        #expect(model.presets[2].guidanceScale == 5 && model.presets[2].steps == 28)
        #expect(model.sizes.count == 2 && model.examples["zh"]?.count == 8)
        #expect(model.precision == "f32" && model.kernels == "avx512bf16")
    }

    @Test("a worker's status")
    func status() throws {
        let bytes = try Self.bytes("worker-status.json")
        let status = try JSONDecoder().decode(WorkerStatus.self, from: Data(bytes))
        #expect(status.state == .ready && status.loaded == 1 && status.memoryBytes == 104_681_472)
        #expect(status.passes.count == 12 && status.passes.tokens == 900)
        #expect(status.promptCache?.capacity == 67_108_864 && status.loadedLoRAs == ["pixel"])
        #expect(status.model?.id == "emoji-nano")
    }

    @Test("a worker's events")
    func events() throws {
        let events = try EventBytes.decode(Self.bytes("worker-events.frames")).map { event in
            switch event {
            case .queued(let position): return "queued \(position)"
            case .started: return "started"
            case .step(let image, let step, let steps, _): return "step \(image) \(step)/\(steps)"
            case .preview(let image, let step, let preview):
                return "preview \(image) \(step) \(preview.width)x\(preview.height)"
            case .image(let image):
                #expect(SHA256.hexadecimal(image.image.pixels) == image.pixelDigest)
                #expect(image.loras.map(\.name) == ["pixel", "sketch"])
                #expect(image.seconds.total > 0 && !image.promptTruncated)
                return "image \(image.index) \(image.seed)"
            }
        }
        #expect(
            events == [
                "queued 0", "started", "step 0 1/2", "preview 0 1 8x6", "step 0 2/2", "step 1 1/2",
                "preview 1 1 8x6", "image 0 4294967303", "step 1 2/2", "image 1 4294967304",
            ])
        #expect(try EventBytes.decode(Self.bytes("worker-events-failed.frames")).count == 2)
    }
}
