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

/// ControlNets by request: any mixture in one batch, each image as if it were alone.
@Suite("ControlNets by request", .timeLimit(.minutes(10)))
struct ControlRequestTests {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/control")

    private func engine(
        _ limits: SchedulerLimits = SchedulerLimits()
    ) throws -> InferenceEngine<CPUBackend> {
        let pipeline = try Pipeline(
            model: try ModelDirectory(url: Self.folder.appending(path: "base")),
            device: try CPUBackend(precision: .f32, threads: 2))
        return InferenceEngine(
            pipeline: pipeline, limits: limits,
            controlNets: ControlNetRegistry(folder: Self.folder))
    }

    private func picture() throws -> RGBImage {
        var pixels: [UInt8] = []
        for y in 0..<48 {
            for x in 0..<48 {
                pixels += y > 15 && x > 20 ? [240, 200, 90] : [20, UInt8(x), 70]
            }
        }
        return try RGBImage(width: 48, height: 48, pixels: pixels)
    }

    private func request(
        _ engine: InferenceEngine<CPUBackend>, _ index: Int
    ) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: ["a cat", "一只狗", ""][index % 3])
        (draft.width, draft.height) = ([48, 64, 96][index % 3], [48, 32, 64][index / 3 % 3])
        draft.steps = 1 + index % 4
        draft.guidanceScale = index % 2 == 0 ? 0 : 3
        draft.count = index % 5 == 0 ? 2 : 1
        draft.seed = UInt64(index)
        let request = try ImageRequest(draft, for: engine.description)
        let types: [Preprocessor] = [.canny, .grey, .scribble, .inpaint]
        let controls = try ["1.0", "lite", "2.1"].prefix(index % 4).enumerated().map { at, net in
            var type = types[(index + at) % 4]
            if net == "1.0", type == .inpaint { type = .none }
            var control = ControlInput(model: "net-\(net)", type: type, image: try picture())
            control.mask = type == .inpaint ? try Preprocessor.canny.map(of: try picture()) : nil
            control.strength = [0.4, 0.9][index % 2]
            if index % 3 == 0 { (control.start, control.end) = (0.2, 0.7) }
            return try control.parameters(for: request.size)
        }
        return try request.with(controls: controls)
    }

    private func digests(
        _ request: ImageRequest, alone engine: InferenceEngine<CPUBackend>
    ) throws -> [String] {
        var digests: [String] = []
        try engine.run(request, isCancelled: { false }) { event in
            if case .image(let image) = event { digests.append(image.pixelDigest) }
        }
        return digests
    }

    @Test("images among others are those made alone, whatever the size of a pass")
    func invariance() async throws {
        let together = try engine(SchedulerLimits(running: 8, waiting: 64, passTokens: 800))
        let requests = try (0..<24).map { try request(together, $0) }
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
            return try await group.reduce(into: Array(repeating: [String](), count: 24)) {
                $0[$1.0] = $1.1
            }
        }
        let fresh = try engine()
        for (index, request) in requests.enumerated().reversed() {
            #expect(try digests(request, alone: fresh) == results[index], "request \(index)")
        }
        #expect(Set(results.joined()).count == results.joined().count)
    }

    @Test("a request with controls survives the way through JSON, which names a newer version")
    func json() throws {
        let engine = try engine()
        let request = try request(engine, 7)
        #expect(request.controls.count == 3)
        let data = try JSONEncoder().encode(request)
        #expect(try JSONDecoder().decode(ImageRequest.self, from: data) == request)
        #expect(request.parameters.requiredVersion == 2)
        let plain = try self.request(engine, 8)
        #expect(plain.parameters.requiredVersion == 1)
        let text = String(decoding: try JSONEncoder().encode(plain), as: UTF8.self)
        #expect(!text.contains("controls"))
    }

    @Test("what is missing is an error of the control, and other requests go on")
    func errors() throws {
        let engine = try engine()
        var unknown = ControlParameters(model: "none")
        unknown.map = Data(try ImageEncoder.encode(try picture()))
        let plain = try request(engine, 0)
        for (control, words) in [
            (unknown, "net-1.0, net-2.0"),
            (ControlParameters(model: "net-1.0"), "needs a control image"),
        ] {
            let error = #expect(throws: GenerationError.self) {
                _ = try digests(try plain.with(controls: [control]), alone: engine)
            }
            #expect(error?.code == .control)
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        }
        var repaint = ControlParameters(model: "net-1.0", type: "inpaint")
        (repaint.source, repaint.mask) = (unknown.map, unknown.map)
        let error = #expect(throws: GenerationError.self) {
            _ = try digests(try plain.with(controls: [repaint]), alone: engine)
        }
        #expect(error?.message.contains("version 1.0") == true)
        #expect(try digests(plain, alone: engine).count == 2)
    }

    @Test("a forecast adds the weights and the work of the nets")
    func forecast() throws {
        let model = try ModelDirectory(url: Self.folder.appending(path: "base"))
        let forecaster = try RequestForecaster(
            model: model, precision: .f32, controlNetFolder: Self.folder)
        let engine = try engine()
        let (plain, controlled) = (try request(engine, 0), try request(engine, 3))
        #expect(forecaster.forecast(of: plain).controlShare == 0)
        let forecast = forecaster.forecast(of: controlled)
        let plan = try ["1.0", "lite"].map {
            try ControlNetPlan(
                of: Self.folder.appending(path: "net-\($0).safetensors"), for: model,
                precision: .f32)
        }
        #expect(controlled.controls.count == 3)
        #expect(
            forecast.weightBytes - forecaster.forecast(of: plain).weightBytes
                > plan.reduce(0) { $0 + $1.weightBytes })
        #expect(forecast.controlShare > plan.reduce(0) { $0 + $1.share })
        // Two refiner blocks and two of six layers.
        #expect((0.3..<0.8).contains(plan[0].share), "\(plan[0].share)")
    }

    @Test("the registry finds files and folders by name, and nothing else")
    func registry() throws {
        let registry = ControlNetRegistry(folder: Self.folder)
        #expect(registry.entries.map(\.name) == ["net-1.0", "net-2.0", "net-2.1", "net-lite"])
        #expect(try registry.find("net-2.1").url.lastPathComponent == "net-2.1")
        #expect(try registry.find("net-lite [0a1b]").name == "net-lite")
        let error = #expect(throws: RequestError.self) { try registry.find("goldens") }
        #expect(error?.message.contains("net-1.0, net-2.0") == true)
        let pulled = ControlNetRegistry(roots: [Self.folder.deletingLastPathComponent()])
        #expect(pulled.entries.map(\.name) == ["net-1.0", "net-2.0", "net-2.1", "net-lite"])
    }

    @Test("nets in subfolders, in any case of the ending, by name and by path")
    func subfolders() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-nets-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, place) in [
            ("net-lite.safetensors", "turbo/lite/Union.SafeTensors"),
            ("net-2.1", "turbo/tile"), ("net-1.0.safetensors", "turbo/old/tile.safetensors"),
            ("goldens.safetensors", "turbo/other.safetensors"),
        ] {
            let target = folder.appending(path: place)
            try FileManager.default.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            try FileManager.default.copyItem(at: Self.folder.appending(path: name), to: target)
        }
        let registry = ControlNetRegistry(folder: folder)
        // Of nets with one name the one nearest to the top counts.
        #expect(registry.entries.map(\.name) == ["Union", "tile"])
        #expect(registry.entries.allSatisfy { $0.isIn(folder) && !$0.isIn(Self.folder) })
        for name in ["Union", "Union.SAFETENSORS", "turbo/lite/Union", "Union [0a1b]"] {
            #expect(try registry.find(name).name == "Union")
        }
        #expect(try registry.find("turbo/tile").url.lastPathComponent == "tile")
    }

    @Test("a net in the folder controlnets of a model is found, also in diffusers' layout")
    func netOfModel() throws {
        let files = FileManager.default
        let model = files.temporaryDirectory.appending(path: "inkstone-nets-\(UUID().uuidString)")
        let nets = model.appending(path: "controlnets")
        try files.createDirectory(at: nets, withIntermediateDirectories: true)
        defer { try? files.removeItem(at: model) }
        let registry = ControlNetRegistry(models: [model])
        #expect(registry.entries.isEmpty)
        for name in ["net-2.1", "net-lite.safetensors"] {
            try files.copyItem(
                at: Self.folder.appending(path: name), to: nets.appending(path: name))
        }
        #expect(registry.entries.map(\.name) == ["net-2.1", "net-lite"])
        #expect(try registry.find("net-2.1").url.path == nets.appending(path: "net-2.1").path)
    }
}
