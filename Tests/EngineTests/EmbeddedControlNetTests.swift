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

/// The ControlNet that is included with the embedded model: from edges to the image.
@Suite("The embedded model's ControlNet", .timeLimit(.minutes(10)))
struct EmbeddedControlNetTests {
    private static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")
    private static let fixtures = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/edges")

    private func engine(
        _ precision: Precision = .f32, _ limits: SchedulerLimits = SchedulerLimits()
    ) throws -> InferenceEngine<CPUBackend> {
        InferenceEngine(
            pipeline: try Pipeline(
                model: try ModelDirectory(url: Self.model),
                device: try CPUBackend(precision: precision, threads: 2)),
            limits: limits)
    }

    /// Prompts of scenes that training never saw: the first six of `evaluate_control.py`.
    private static let scenes = [
        "by night, woman standing, in the snow", "a bengal rhino and a cow",
        "leopard mountain background, as night falls", "白色的墙前，一条爱心眼的脸和一颗葡萄", "a tent", "橙色背景上，一只茄子",
    ]

    private func map(_ index: Int) throws -> RGBImage {
        let file = Self.fixtures.appending(path: "scene-\(index).png")
        return try ImageDecoder.decode([UInt8](try Data(contentsOf: file))).flattened()
    }

    private func request(
        _ engine: InferenceEngine<CPUBackend>, scene: Int = 0, seed: UInt64 = 1,
        isControlled: Bool = true, strength: Double = 1
    ) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: Self.scenes[scene])
        (draft.width, draft.height, draft.seed) = (128, 128, seed)
        let request = try ImageRequest(draft, for: engine.description)
        guard isControlled else { return request }
        var input = ControlInput(model: "edges", type: .none, image: try map(scene))
        input.strength = strength
        return try request.with(controls: [try input.parameters(for: request.size)])
    }

    private func image(
        _ request: ImageRequest, _ engine: InferenceEngine<CPUBackend>
    ) throws -> GeneratedImage {
        var images: [GeneratedImage] = []
        try engine.run(
            request, isCancelled: { false },
            onEvent: { event in
                if case .image(let image) = event { images.append(image) }
            })
        return try #require(images.first)
    }

    /// Intersection over union of a map and the edges of an image, each dilated by one pixel.
    private func agreement(_ map: RGBImage, _ image: RGBImage) throws -> Double {
        let (a, b) = (dilated(map), dilated(try Preprocessor.canny.map(of: image)))
        let both = zip(a, b).count { $0 && $1 }
        return Double(both) / Double(max(1, zip(a, b).count { $0 || $1 }))
    }

    private func dilated(_ map: RGBImage) -> [Bool] {
        let (width, height) = (map.width, map.height)
        return (0..<(width * height)).map { at in
            let (y, x) = at.quotientAndRemainder(dividingBy: width)
            return (max(0, y - 1)...min(height - 1, y + 1)).contains { row in
                (max(0, x - 1)...min(width - 1, x + 1)).contains {
                    map.pixels[3 * (row * width + $0)] > 0
                }
            }
        }
    }

    @Test("it is found without being added, belongs to the model, and takes at most 6 MB")
    func found() throws {
        let engine = try engine()
        let entries = engine.controlNets.entries
        #expect(entries.map(\.name) == ["edges"])
        let net = try #require(entries.first).url
        let plan = try ControlNetPlan(
            of: net, for: try ModelDirectory(url: Self.model), precision: .f32)
        #expect(plan.config.version == "1.0")
        #expect(plan.config.places == [0])
        #expect(!plan.config.takesInpainting)
        let bytes = try FileManager.default.contentsOfDirectory(atPath: net.path).reduce(0) {
            $0 + (try Data(contentsOf: net.appending(path: $1)).count)
        }
        #expect(bytes < 6_000_000)
        #expect(2 * plan.parameterCount < bytes)
    }

    @Test("the edges of images follow the maps", arguments: [Precision.f32, .bf16, .int8])
    func follows(_ precision: Precision) throws {
        let engine = try engine(precision)
        let pairs = try Self.scenes.indices.map { scene in
            try [false, true].map {
                let request = try request(engine, scene: scene, isControlled: $0)
                return try agreement(try map(scene), try image(request, engine).image)
            }
        }
        let (without, with) = (mean(pairs.map { $0[0] }), mean(pairs.map { $0[1] }))
        #expect(with > 0.4 && without < 0.25, "\(pairs)")
    }

    private func mean(_ values: [Double]) -> Double {
        values.reduce(0, +) / Double(values.count)
    }

    @Test("a strength of 0 gives the bytes of the plain request, and more strength other images")
    func strength() throws {
        let engine = try engine()
        let digests = try [nil, 0, 0.5, 1].map { strength in
            let request = try request(
                engine, isControlled: strength != nil, strength: strength ?? 1)
            return try image(request, engine).pixelDigest
        }
        #expect(digests[0] == digests[1])
        #expect(Set(digests).count == 3)
    }

    @Test("images in a batch are those made alone", arguments: [Precision.f32, .int8])
    func batch(_ precision: Precision) async throws {
        let together = try engine(
            precision, SchedulerLimits(running: 8, waiting: 16, passTokens: 2000))
        let requests = try (0..<6).map { index in
            try request(
                together, scene: index % 3, seed: UInt64(index), isControlled: index % 2 == 0,
                strength: index == 4 ? 0.6 : 1)
        }
        let model = together.description.id
        let results = try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask {
                    var digest = ""
                    for try await event in together.events(for: request, model: model) {
                        if case .image(let image) = event { digest = image.pixelDigest }
                    }
                    return (index, digest)
                }
            }
            return try await group.reduce(into: [Int: String]()) { $0[$1.0] = $1.1 }
        }
        let fresh = try engine(precision)
        for (index, request) in requests.enumerated() {
            #expect(try image(request, fresh).pixelDigest == results[index], "request \(index)")
        }
        #expect(Set(results.values).count == requests.count)
    }
}
