// Part of Inkstone. Licence: see LICENSE.

import Catalog
import ControlMaps
import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// Requests that mix everything that decides an image, many at a time: each image as if it were alone.
@Suite("Requests that mix everything", .timeLimit(.minutes(60)))
struct MixedRequestTests {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/control")

    /// All 500 requests with `INKSTONE_LONG_TESTS=1`.
    private static let count =
        ProcessInfo.processInfo.environment["INKSTONE_LONG_TESTS"] == "1" ? 500 : 100

    /// Random numbers of a fixed seed.
    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) ^ (state << 31)
        }

        mutating func pick<Value>(_ values: [Value]) -> Value {
            values[Int.random(in: values.indices, using: &self)]
        }

        /// True once in `count` times.
        mutating func once(in count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }
    }

    /// A folder with two LoRA files, removed with the last reference.
    private final class LoRAs: Sendable {
        let url = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-mixed-\(UUID().uuidString)")

        init() throws {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            try write("one", ["layers.0.attention.to_q": 32], seed: 1)
            try write(
                "two",
                ["layers.1.attention.to_v": 32, "noise_refiner.0.adaLN_modulation.0": 128],
                seed: 2)
        }

        deinit { try? FileManager.default.removeItem(at: url) }

        private func write(_ name: String, _ layers: [String: Int], seed: UInt64) throws {
            var generator = TorchGenerator(seed: seed)
            var tensors: [NewTensor] = []
            for (layer, rows) in layers.sorted(by: { $0.key < $1.key }) {
                for (end, shape) in [("lora_A", [2, 32]), ("lora_B", [rows, 2])] {
                    let numbers = generator.normals(shape[0] * shape[1]).map { $0 * 0.2 }
                    tensors.append(
                        NewTensor("\(layer).\(end).weight", shape: shape, .f32(numbers)))
                }
            }
            try SafetensorsFile.write(tensors, to: url.appending(path: name + ".safetensors"))
        }
    }

    private let loras: LoRAs
    private let picture: RGBImage
    private let mask: RGBImage

    init() throws {
        loras = try LoRAs()
        var pixels: [UInt8] = []
        for y in 0..<64 {
            for x in 0..<64 { pixels += y > 15 && x > 20 ? [240, 200, 90] : [20, UInt8(x), 70] }
        }
        picture = try RGBImage(width: 64, height: 64, pixels: pixels)
        mask = try RGBImage(
            width: 64, height: 64,
            pixels: (0..<(64 * 64)).flatMap { index -> [UInt8] in
                Array(repeating: index % 64 < 32 ? 0 : 255, count: 3)
            })
    }

    private func engine(_ limits: SchedulerLimits = SchedulerLimits()) throws -> CPUEngine {
        InferenceEngine(
            pipeline: try Pipeline(
                model: try ModelDirectory(url: Self.folder.appending(path: "base")),
                device: try CPUBackend(precision: .f32, threads: 2)),
            limits: limits, loras: LoRARegistry(folder: loras.url),
            controlNets: ControlNetRegistry(folder: Self.folder))
    }

    // MARK: - Requests

    private func request(
        _ index: Int, _ random: inout Random, on engine: CPUEngine
    ) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: random.pick(["a cat", "一只狗", "", "12 red chairs"]))
        (draft.width, draft.height) = (random.pick([32, 48, 64]), random.pick([32, 48, 64]))
        draft.steps = Int.random(in: 1...4, using: &random)
        draft.guidanceScale = random.pick([0, 0, 3])
        if random.once(in: 3) { draft.cfgTruncation = 0.5 }
        draft.count = random.pick([1, 1, 1, 1, 2, 3])
        draft.seed = UInt64(index)
        draft.sampling.sampler = random.pick(Sampler.allCases)
        if !draft.sampling.sampler.evaluatesTwice, random.once(in: 4) {
            draft.sampling.cacheThreshold = 0.5
            draft.steps = 8
        }
        draft.sampling.schedule = random.pick(
            NoiseSchedule.allCases.filter { $0.minimumSteps <= draft.steps ?? 1 })
        if random.once(in: 3) { draft.sampling.shift = random.pick([1, 2.5, 6]) }
        if random.once(in: 3) {
            draft.loras = [LoRAScale(random.pick(["one", "two"]), scale: random.pick([0.5, -1]))]
        }
        if random.once(in: 3) {
            draft.source = .init(image: picture, mask: random.once(in: 2) ? mask : nil)
            draft.strength = random.pick([0.5, 1])
            draft.sampling.strengthRule = random.pick([.exactSteps, .noiseLevel])
        }
        if random.once(in: 6) { draft.seedVariance = SeedVariance(strength: 0.5) }
        if random.once(in: 6) { draft.variationStrength = 0.3 }
        if draft.variationStrength != nil { draft.variationSeed = UInt64(index) + 1000 }
        if random.once(in: 6) { draft.noiseSize = PixelSize(width: 48, height: 32) }
        if random.once(in: 4) { draft.secondPass = secondPass(&random) }
        if draft.sampling.cacheThreshold != nil {
            // What a step cache does not work with.
            draft.secondPass?.tileSide = nil
            draft.secondPass?.sampler = nil
            draft.secondPass?.steps = 7
        }
        let request = try ImageRequest(draft, for: engine.description)
        return try request.with(controls: try controls(&random, for: request.size))
    }

    private func secondPass(_ random: inout Random) -> SecondPass.Draft {
        var pass = SecondPass.Draft()
        pass.factor = random.pick([1.5, 2])
        pass.upscaler = random.pick(SecondPass.Upscaler.allCases)
        pass.steps = Int.random(in: 3...4, using: &random)
        if random.once(in: 2) { pass.sampler = random.pick(Sampler.allCases) }
        if random.once(in: 2) { pass.tileSide = random.pick([32, 48]) }
        return pass
    }

    private func controls(
        _ random: inout Random, for size: PixelSize
    ) throws -> [ControlParameters] {
        guard random.once(in: 3) else { return [] }
        let nets = ["1.0", "2.0", "2.1", "lite"].shuffled(using: &random)
        return try nets.prefix(random.pick([1, 1, 2])).map { net in
            var type = random.pick([Preprocessor.canny, .grey, .inpaint])
            if net == "1.0", type == .inpaint { type = .none }
            var control = ControlInput(model: "net-\(net)", type: type, image: picture)
            control.mask = type == .inpaint ? mask : nil
            control.strength = random.pick([0, 0.4, 0.9])
            if random.once(in: 2) { (control.start, control.end) = (0.2, 0.7) }
            return try control.parameters(for: size)
        }
    }

    private func alone(_ request: ImageRequest, on engine: CPUEngine) throws -> [String] {
        var digests: [String] = []
        try engine.run(request, isCancelled: { false }) { event in
            if case .image(let image) = event { digests.append(image.pixelDigest) }
        }
        return digests
    }

    private func together(
        _ requests: ArraySlice<ImageRequest>, on engine: CPUEngine
    ) async throws -> [Int: [String]] {
        try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
            for (index, request) in zip(requests.indices, requests) {
                group.addTask {
                    var digests: [String] = []
                    for try await event in engine.events(
                        for: request, model: engine.description.id)
                    {
                        if case .image(let image) = event { digests.append(image.pixelDigest) }
                    }
                    return (index, digests)
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    @Test("each image among others is the one made alone, whatever shares its passes")
    func invariance() async throws {
        var random = Random(state: 25)
        let fresh = try engine()
        let requests = try (0..<Self.count).map { try request($0, &random, on: fresh) }
        // The mixture has all that it should.
        let doubled = requests.filter { $0.secondPass != nil }
        #expect(doubled.contains { $0.secondPass?.tiles != nil })
        #expect(doubled.contains { !$0.controls.isEmpty && $0.count > 1 })
        #expect(doubled.contains { $0.source?.mask != nil })
        #expect(doubled.contains { $0.sampling.cacheThreshold != nil })
        #expect(Set(requests.map(\.sampling.sampler)).count == Sampler.allCases.count)
        var results: [Int: [String]] = [:]
        var next = 0
        while next < requests.count {
            let count = Int.random(in: 1...24, using: &random)
            let batch = requests[next..<min(requests.count, next + count)]
            let limits = SchedulerLimits(
                running: random.pick([2, 8, 16]), waiting: 64,
                passTokens: random.pick([1, 200, 800, 4096]))
            results.merge(try await together(batch, on: try engine(limits))) { first, _ in first }
            next += count
        }
        for (index, request) in requests.enumerated().reversed() {
            // Each image is also that of a request of its own.
            let digests = try (0..<request.count).flatMap { image in
                try alone(
                    ImageRequest(
                        parameters: request.parameters.image(at: image), count: 1,
                        source: request.source),
                    on: fresh)
            }
            #expect(
                digests == results[index],
                "\(index): \(request.count) images of \(request.parameters)")
        }
    }
}
