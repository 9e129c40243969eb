// Part of Inkstone. Licence: see LICENSE.

import Basics
import Catalog
import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// LoRA files by request: any mixture in one batch, each image as if it were alone.
@Suite("LoRA files by request", .timeLimit(.minutes(60)))
struct LoRARequestTests {
    private static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")

    /// A folder of files of every kind; removed with the last reference.
    private final class Folder: Sendable {
        let url: URL

        init() throws {
            url = FileManager.default.temporaryDirectory
                .appending(path: "inkstone-loras-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            try write("thin", seed: 1, ["attention.to_q", "feed_forward.w1"], rank: 5)
            try write("modulation", seed: 2, ["adaLN_modulation.0", "attention.to_out.0"], rank: 2)
            try write("text", seed: 3, ["self_attn.q_proj"], rank: 3)
            try write("magnitude", seed: 4, ["attention.to_v"], rank: 3, hasMagnitude: true)
            try write("whole", seed: 5, ["feed_forward.w2"], rank: 0)
        }

        deinit { try? FileManager.default.removeItem(at: url) }

        func write(
            _ name: String, seed: UInt64, _ ends: [String], rank: Int, hasMagnitude: Bool = false,
            size: Float = 0.1
        ) throws {
            var generator = TorchGenerator(seed: seed)
            var tensors: [NewTensor] = []
            let model = try ModelDirectory(url: LoRARequestTests.model)
            for store in [try model.transformerStore(), try model.textEncoderStore()] {
                for key in store.names
                where key.hasPrefix("layers.0.") || key.hasPrefix("layers.1.") {
                    guard ends.contains(where: { key.hasSuffix("\($0).weight") }),
                        let shape = store[key]?.shape
                    else { continue }
                    let base = String(key.dropLast(".weight".count))
                    func add(_ end: String, _ rows: Int, _ columns: Int, _ size: Float) {
                        let numbers = generator.normals(max(16, rows * columns))
                        tensors.append(
                            NewTensor(
                                base + end, shape: [rows, columns],
                                .f32(numbers.prefix(rows * columns).map { $0 * size })))
                    }
                    if rank == 0 {
                        add(".diff", shape[0], shape[1], 0.02)
                    } else {
                        add(".lora_A.weight", rank, shape[1], size)
                        add(".lora_B.weight", shape[0], rank, size)
                    }
                    if hasMagnitude { add(".dora_scale", shape[0], 1, 1) }
                }
            }
            try SafetensorsFile.write(tensors, to: url.appending(path: name + ".safetensors"))
        }
    }

    private func engine(
        _ folder: Folder, _ precision: Precision, threads: Int = 2, passTokens: Int = 400
    ) throws -> InferenceEngine<CPUBackend> {
        engine(
            folder,
            try Pipeline(
                model: try ModelDirectory(url: Self.model),
                device: try CPUBackend(precision: precision, threads: threads)),
            passTokens: passTokens)
    }

    private func engine(
        _ folder: Folder, _ pipeline: Pipeline<CPUBackend>, passTokens: Int = 400
    ) -> InferenceEngine<CPUBackend> {
        InferenceEngine(
            pipeline: pipeline, limits: SchedulerLimits(passTokens: passTokens),
            loras: LoRARegistry(folder: folder.url, models: [Self.model]))
    }

    private func request(
        _ engine: InferenceEngine<CPUBackend>, _ loras: [LoRAScale], prompt: String = "a red apple",
        steps: Int = 2, side: Int = 48, guidance: Double = 0, seed: UInt64 = 7
    ) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: prompt)
        draft.steps = steps
        (draft.width, draft.height) = (side, 32)
        draft.guidanceScale = guidance
        draft.seed = seed
        draft.loras = loras
        return try ImageRequest(draft, for: engine.description)
    }

    private func picture(
        _ request: ImageRequest, on engine: InferenceEngine<CPUBackend>
    ) async throws -> GeneratedImage {
        for try await event in engine.events(for: request, model: engine.description.id) {
            if case .image(let image) = event { return image }
        }
        throw GenerationError(.internalFailure, "no picture came")
    }

    /// `count` requests drawn at random.
    private func mixture(_ engine: InferenceEngine<CPUBackend>, count: Int, seed: UInt64) throws
        -> [ImageRequest]
    {
        var generator = TorchGenerator(seed: seed)
        let names = ["thin", "modulation", "text", "magnitude", "whole", "pixel", "sketch"]
        func pick<Value>(_ values: [Value]) -> Value {
            values[Int(generator.next32()) % values.count]
        }
        return try (0..<count).map { _ in
            let loras = (0..<pick([0, 1, 1, 2, 3])).map { _ in
                LoRAScale(pick(names), scale: pick([1, 0.5, -0.75, 0, 1.5]))
            }
            return try request(
                engine, loras, prompt: pick(["a cat", "一只狗", "a pizza and a key"]),
                steps: pick([1, 2, 3]), side: pick([32, 48, 64]), guidance: pick([0, 0, 3]),
                seed: UInt64(pick([1, 2, 3])))
        }
    }

    // Of each precision; `make accept` asks for a thousand of all three together.
    private static let count =
        ProcessInfo.processInfo.environment["INKSTONE_LORA_REQUESTS"].flatMap(Int.init)
        .map { ($0 + 2) / 3 } ?? 14

    @Test(
        "random choices in random batches are, to the bit, what a fresh engine makes of each alone",
        arguments: Precision.allCases)
    func mixtures(_ precision: Precision) async throws {
        let folder = try Folder()
        let shared = try engine(folder, precision)
        var alone: [String: String] = [:]
        var generator = TorchGenerator(seed: 11)
        var left = Self.count
        while left > 0 {
            let size = min(left, 1 + Int(generator.next32() % 9))
            left -= size
            let requests = try mixture(shared, count: size, seed: UInt64(generator.next32()))
            let together = try await withThrowingTaskGroup(of: (Int, String).self) { group in
                for (index, request) in requests.enumerated() {
                    group.addTask { (index, try await picture(request, on: shared).pixelDigest) }
                }
                return try await group.reduce(into: Array(repeating: "", count: size)) {
                    $0[$1.0] = $1.1
                }
            }
            for (request, digest) in zip(requests, together) {
                let key = "\(request)"
                if alone[key] == nil {
                    let fresh = try engine(folder, precision, threads: alone.count % 2 + 1)
                    alone[key] = try await picture(request, on: fresh).pixelDigest
                }
                #expect(digest == alone[key], "\(key)")
            }
        }
    }

    @Test("scale 0 has no effect, and requests do not affect each other")
    func traces() async throws {
        let folder = try Folder()
        let engine = try engine(folder, .bf16)
        let plain = try await picture(try request(engine, []), on: engine)
        #expect(plain.loras == [])
        for name in ["thin", "modulation", "text", "magnitude", "whole", "pixel"] {
            let one = try await picture(try request(engine, [LoRAScale(name)]), on: engine)
            #expect(one.pixelDigest != plain.pixelDigest, "\(name)")
            #expect(one.loras.map(\.name) == [name])
            #expect(one.loras[0].matched > 0 && one.loras[0].warning == nil)
            let zero = try await picture(
                try request(engine, [LoRAScale(name, scale: 0)]), on: engine)
            #expect(zero.pixelDigest == plain.pixelDigest, "\(name) at 0")
            let next = try await picture(try request(engine, []), on: engine)
            #expect(next.pixelDigest == plain.pixelDigest, "after \(name)")
        }
    }

    @Test("a file that was changed is read again; one that is gone is named")
    func reload() async throws {
        let folder = try Folder()
        let engine = try engine(folder, .f32)
        let asked = try request(engine, [LoRAScale("thin"), LoRAScale("text")])
        let first = try await picture(asked, on: engine).pixelDigest
        #expect(try await picture(asked, on: engine).pixelDigest == first)
        try folder.write("text", seed: 30, ["self_attn.q_proj"], rank: 4)
        let second = try await picture(asked, on: engine).pixelDigest
        #expect(second != first)
        try FileManager.default.removeItem(at: folder.url.appending(path: "thin.safetensors"))
        let error = await #expect(throws: GenerationError.self) {
            _ = try await picture(asked, on: engine)
        }
        #expect(error?.code == .lora)
        #expect(
            error?.message
                == "there is no LoRA 'thin'; this server has magnitude, modulation, pixel,"
                + " sketch, text, whole.")
        try folder.write("thin", seed: 1, ["attention.to_q", "feed_forward.w1"], rank: 5)
        #expect(try await picture(asked, on: engine).pixelDigest == second)
    }

    @Test("a damaged file fails its own request alone")
    func damaged() async throws {
        let folder = try Folder()
        try Data([9, 0, 0, 0, 0, 0, 0, 0, 1]).write(
            to: folder.url.appending(path: "bad.safetensors"))
        let engine = try engine(folder, .f32)
        let good = try request(engine, [LoRAScale("thin")])
        let expected = try await picture(good, on: engine).pixelDigest
        let asked = try request(engine, [LoRAScale("bad")])
        async let other = picture(good, on: engine)
        let error = await #expect(throws: GenerationError.self) {
            _ = try await picture(asked, on: engine)
        }
        #expect(try await other.pixelDigest == expected)
        #expect(error?.code == .lora)
    }

    @Test("weights that overflow fail their request, and the engine continues")
    func overflow() async throws {
        let folder = try Folder()
        try folder.write("huge", seed: 1, ["attention.to_q"], rank: 2, size: 1e25)
        let engine = try engine(folder, .f32)
        let good = try request(engine, [LoRAScale("thin")])
        let expected = try await picture(good, on: engine).pixelDigest
        let asked = try request(engine, [LoRAScale("huge")])
        let error = await #expect(throws: GenerationError.self) {
            _ = try await picture(asked, on: engine)
        }
        #expect(error?.code == .numeric)
        #expect(try await picture(good, on: engine).pixelDigest == expected)
    }

    @Test("files in memory are bounded: the one that was not used for longest goes")
    func capacity() async throws {
        let folder = try Folder()
        for (seed, name) in ["a", "b", "c"].enumerated() {
            try folder.write(name, seed: UInt64(seed), ["attention.to_q"], rank: 3)
        }
        func pipeline(_ capacity: Int) throws -> Pipeline<CPUBackend> {
            try Pipeline(
                model: try ModelDirectory(url: Self.model),
                device: try CPUBackend(precision: .f32, threads: 2), loraCapacity: capacity)
        }
        func use(_ names: [String], _ pipeline: Pipeline<CPUBackend>) async throws -> [String] {
            let engine = engine(folder, pipeline)
            for name in names {
                _ = try await picture(request(engine, [LoRAScale(name)], steps: 1), on: engine)
            }
            return pipeline.loadedLoRAs
        }
        let roomy = try pipeline(1 << 30)
        #expect(try await use(["a"], roomy) == ["a"])
        let bytes = roomy.loadedLoRABytes
        #expect(bytes > 0)
        #expect(try await use(["a", "b", "a", "c"], try pipeline(2 * bytes)) == ["a", "c"])
        #expect(try await use(["a"], try pipeline(bytes - 1)) == [])
    }

    @Test(
        "invalid names are rejected",
        arguments: [
            "", "../thin", "a/b", ".hidden", "a\\b", "a\u{0}", "x<y", "a:b",
            String(repeating: "x", count: 201),
        ])
    func names(_ name: String) throws {
        let folder = try Folder()
        let registry = LoRARegistry(folder: folder.url)
        #expect(throws: RequestError.self) { _ = try registry.destination(name) }
        #expect(throws: RequestError.self) { _ = try registry.find(name) }
        #expect(!LoRAScale.isName(name))
    }

    @Test("limits of a request")
    func limits() throws {
        let folder = try Folder()
        let engine = try engine(folder, .f32)
        let many = Array(repeating: LoRAScale("thin"), count: 9)
        let error = #expect(throws: RequestError.self) { _ = try request(engine, many) }
        #expect(error?.message == "loras must have at most 8 entries, got 9.")
        for scale in [11, -10.5, .nan, .infinity] {
            #expect(throws: RequestError.self) {
                _ = try request(engine, [LoRAScale("thin", scale: scale)])
            }
        }
        let asked = try request(engine, [LoRAScale("thin", scale: -0.5), LoRAScale("text")])
        let data = try JSONEncoder().encode(asked)
        #expect(try JSONDecoder().decode(ImageRequest.self, from: data) == asked)
    }

    @Test("files of images name LoRA files by their hashes, as other programs do")
    func hashes() throws {
        let folder = try Folder()
        let file = folder.url.appending(path: "thin.safetensors")
        let bytes = [UInt8](try Data(contentsOf: file))
        let header = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        let digest = SHA256.hexadecimal(Array(bytes[(8 + header)...]))
        let engine = try engine(folder, .f32)
        let loras = [LoRAScale("thin", scale: 0.5), LoRAScale("text")]
        let request = try request(engine, loras, steps: 1)
        var images: [GeneratedImage] = []
        try engine.run(request, isCancelled: { false }) { event in
            if case .image(let image) = event { images.append(image) }
        }
        let text = try #require(images.first).parametersText(of: request, model: engine.description)
        let read = try #require(GenerationParameters(parsing: text))
        #expect(read.prompt == "a red apple")
        #expect(read.loras.map(\.name) == ["thin", "text"] && read.loras[0].scale == 0.5)
        #expect(read.loras[0].hash == String(digest.prefix(12)))
        #expect(read.loras[1].hash?.count == 12 && read.loras[1].hash != read.loras[0].hash)
    }
}
