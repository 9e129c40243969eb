// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// Second passes in tiles.
@Suite("Second passes in tiles", .timeLimit(.minutes(3)))
struct TiledPassTests {
    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let nets = root.appending(path: "Tests/Fixtures/control")

    private func engine(
        _ limits: SchedulerLimits = SchedulerLimits(), model: URL = nets.appending(path: "base")
    ) throws -> CPUEngine {
        InferenceEngine(
            pipeline: try Pipeline(
                model: try ModelDirectory(url: model),
                device: try CPUBackend(precision: .f32, threads: 2)),
            limits: limits, controlNets: ControlNetRegistry(folder: Self.nets))
    }

    private func picture() throws -> RGBImage {
        try RGBImage(
            width: 64, height: 48,
            pixels: (0..<(64 * 48 * 3)).map {
                UInt8(truncatingIfNeeded: $0 / 3 % 64 * 3 + $0 / 500)
            }
        )
    }

    private func draft(side: Int, overlap: Int? = nil) -> ImageRequest.Draft {
        var draft = ImageRequest.Draft(prompt: "a cat")
        (draft.width, draft.height, draft.steps, draft.seed) = (48, 32, 2, 7)
        draft.secondPass = .init()
        draft.secondPass?.tileSide = side
        draft.secondPass?.tileOverlap = overlap
        return draft
    }

    private func request(
        _ draft: ImageRequest.Draft, _ controls: [ControlParameters] = [], on engine: CPUEngine
    ) throws -> ImageRequest {
        try ImageRequest(draft, for: engine.description).with(controls: controls)
    }

    private func images(
        _ request: ImageRequest, on engine: CPUEngine
    ) throws -> [GeneratedImage] {
        var images: [GeneratedImage] = []
        try engine.run(request, isCancelled: { false }) { event in
            if case .image(let image) = event { images.append(image) }
        }
        return images
    }

    // MARK: - Geometry

    @Test(
        "tiles are inside the image, cover it, and share what they should",
        arguments: [(96, 64, 32, 16), (112, 48, 64, 0), (208, 96, 96, 16), (32, 32, 64, 32)])
    func grid(width: Int, height: Int, side: Int, overlap: Int) {
        let grid = TileGrid(
            covering: PixelSize(width: width, height: height), side: side, overlap: overlap)
        for (starts, length, tile) in [
            (grid.columns, width, grid.tile.width), (grid.rows, height, grid.tile.height),
        ] {
            #expect(tile == min(side, length))
            #expect(starts.first == 0 && starts.last == length - tile)
            for (left, right) in zip(starts, starts.dropFirst()) {
                #expect(left < right && left + tile - right >= overlap)
            }
            // No more than needed.
            let rest = max(0, length - side)
            #expect(starts.count == 1 + (rest + side - overlap - 1) / (side - overlap))
        }
    }

    @Test("the parts of an output, blended, are that output; one tile alone is it exactly")
    func blending() throws {
        let size = PixelSize(width: 112, height: 80)
        let output = Planes(
            (0..<(3 * 14 * 10)).map { Float(($0 * 37) % 101) - 50 }, channels: 3, height: 10,
            width: 14)
        for (side, overlap) in [(48, 16), (64, 32), (32, 0), (112, 16)] {
            var evaluation = TiledEvaluation(
                TileGrid(covering: size, side: side, overlap: overlap), of: size,
                overlap: overlap, channels: 3, scale: 8)
            var result: [Float]?
            for index in 0..<evaluation.count {
                #expect(result == nil && evaluation.index == index)
                result = evaluation.add(evaluation.part(index, of: output).numbers)
            }
            let blended = try #require(result)
            let error = zip(blended, output.numbers).map { abs($0 - $1) }.max() ?? 1
            #expect(error < 1e-4, "\(error)")
            if side == 112 { #expect(blended == output.numbers) }
            // The next evaluation begins again.
            #expect(evaluation.index == 0)
        }
    }

    // MARK: - Images

    @Test("a single tile gives the bytes of an undivided pass; several give others, in its steps")
    func tiles() throws {
        let engine = try engine()
        let whole = try images(try request(draft(side: 0), on: engine), on: engine)[0]
        let single = try images(try request(draft(side: 96), on: engine), on: engine)[0]
        #expect(single.pixelDigest == whole.pixelDigest)
        let tiled = try request(draft(side: 48), on: engine)
        // 96x64 with columns 0, 32 and 48, rows 0 and 16.
        #expect(tiled.secondPass?.grid.count == 6 && tiled.evaluations == 2 + 2 * 6)
        #expect(tiled.parameters.work(strength: nil) == Double(2 * 48 * 32 + 12 * 48 * 48))
        let image = try images(tiled, on: engine)[0]
        #expect(image.image.width == 96 && image.image.height == 64)
        #expect(image.seconds.steps.count == tiled.evaluations)
        #expect(image.pixelDigest != whole.pixelDigest)
        let text = image.parametersText(of: tiled, model: engine.description)
        #expect(text.contains("Hires tiles: 48 16"))
    }

    @Test("every tile is a step, whole evaluations have previews, and cancelling ends between two")
    func events() throws {
        let engine = try engine(model: Self.root.appending(path: "Models/emoji-nano"))
        let request = try request(draft(side: 48), on: engine)
        var options = RunOptions()
        options.previews = true
        var (steps, previews): ([Int], [Int]) = ([], [])
        try engine.run(request, options: options, isCancelled: { false }) { event in
            switch event {
            case .step(_, let step, let total, _):
                steps.append(step)
                #expect(total == 14)
            case .preview(_, let step, _): previews.append(step)
            default: break
            }
        }
        #expect(steps == Array(1...14))
        // Neither between two tiles nor of latents that are finished.
        #expect(previews == [1, 8])
        var count = 0
        #expect(throws: CancellationError.self) {
            try engine.run(request, isCancelled: { count >= 5 }) { event in
                if case .step = event { count += 1 }
            }
        }
        #expect(count == 5)
    }

    @Test("tiled passes among others have the bytes of those alone", arguments: [1, 4096])
    func invariance(passTokens: Int) async throws {
        let together = try engine(SchedulerLimits(running: 8, passTokens: passTokens))
        let file = Data(try ImageEncoder.encode(try picture()))
        let requests = try (0..<6).map { index in
            var draft = draft(side: [48, 32, 64][index % 3], overlap: index == 4 ? 0 : nil)
            draft.seed = UInt64(index)
            draft.guidanceScale = index % 2 == 0 ? 0 : 3
            draft.sampling.sampler = [.euler, .eulerAncestral, .heun][index % 3]
            draft.count = index == 2 ? 2 : 1
            if index == 3 {
                draft.source = .init(image: try picture(), mask: try picture())
                draft.strength = 0.6
            }
            var controls: [ControlParameters] = []
            if index > 2 {
                var control = ControlParameters(model: ["net-lite", "net-1.0"][index % 2])
                control.map = file
                controls = [control]
            }
            return try request(draft, controls, on: together)
        }
        let results = try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask {
                    var digests: [String] = []
                    let id = together.description.id
                    for try await event in together.events(for: request, model: id) {
                        if case .image(let image) = event { digests.append(image.pixelDigest) }
                    }
                    return (index, digests)
                }
            }
            return try await group.reduce(into: Array(repeating: [String](), count: 6)) {
                $0[$1.0] = $1.1
            }
        }
        let fresh = try engine()
        for (index, request) in requests.enumerated() {
            #expect(
                try images(request, on: fresh).map(\.pixelDigest) == results[index], "\(index)")
        }
        #expect(Set(results.joined()).count == 7)
    }

    // MARK: - Limits

    @Test("tiles allow more than the model's limits; what they cannot do is refused by name")
    func limits() throws {
        let model = ImageRequestTests.model
        func pass(_ width: Int, _ side: Int, _ overlap: Int? = nil) throws -> SecondPass? {
            var draft = draft(side: side, overlap: overlap)
            draft.secondPass?.width = width
            draft.secondPass?.height = 256
            return try ImageRequest(draft, for: model).secondPass
        }
        #expect(try pass(2048, 256)?.tiles == SecondPass.Tiles(side: 256, overlap: 32))
        #expect(try pass(2048, 64)?.tiles?.overlap == 16)
        #expect(try pass(512, 0)?.tiles == nil)
        for (width, side, overlap, field) in [
            (528, 0, nil, "hires.width"), (2064, 256, nil, "hires.width"),
            (2048, 40, nil, "hires.tiles"), (2048, 16, nil, "hires.tiles"),
            (2048, 528, nil, "hires.tiles"), (2048, -16, nil, "hires.tiles"),
            (2048, 64, 48, "hires.tiles"), (2048, 64, 8, "hires.tiles"),
            (2048, 64, -16, "hires.tiles"), (2048, 32, nil, "hires.tiles"),
        ] as [(Int, Int, Int?, String)] {
            let error = #expect(throws: RequestError.self) { try pass(width, side, overlap) }
            #expect(error?.field == field, "\(width) \(side) \(error?.message ?? "")")
        }
        let request = try ImageRequest(draft(side: 48), for: model)
        #expect(request.parameters.requiredVersion == 3)
        let read = try JSONDecoder().decode(
            ImageRequest.self, from: try JSONEncoder().encode(request))
        #expect(read.parameters == request.parameters)
    }

    @Test("a forecast of memory is that of a tile, not of the whole")
    func forecast() throws {
        let forecaster = try RequestForecaster(
            model: try ModelDirectory(url: Self.root.appending(path: "Models/emoji-nano")),
            precision: .f32)
        func bytes(_ tiles: SecondPass.Tiles?) -> Int {
            var parameters = SamplingParameters(
                prompt: "a cat", size: PixelSize(width: 1024, height: 1024), steps: 4)
            parameters.guidanceScale = 3
            parameters.secondPass = SecondPass(size: PixelSize(width: 4096, height: 4096))
            parameters.secondPass?.tiles = tiles
            return forecaster.forecast(of: ImageRequest(parameters: parameters, count: 10))
                .activationBytes
        }
        let (whole, tiled) = (bytes(nil), bytes(.init(side: 1024, overlap: 128)))
        #expect(tiled > 0 && tiled < whole / 5, "\(tiled) \(whole)")
    }
}
