// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Tensors
import Testing
import ZImage

/// ControlNets against what the reference computed.
@Suite("ControlNets give the hints of the reference")
struct ControlNetParityTests {
    @Test("the fixtures have all versions, guidance, strengths, a range, inpainting and two nets")
    func cases() {
        #expect(ControlCase.all.count == 15)
    }

    @Test("latents after every step in f32", arguments: ControlCase.all)
    func latents(_ item: ControlCase) throws {
        let pipeline = try ControlCase.pipeline(.f32)
        var generations = [try pipeline.begin(try item.input())]
        while !generations[0].isFinished { try pipeline.step(&generations) }
        let trace = try #require(generations[0].trace)
        guard case .f32(let latents, _) = trace.tensors["latents"] else {
            throw MissingTensor(name: "latents")
        }
        let want = try tensor("\(item.run.name).latents")
        #expect(latents.count == want.count)
        let error = relativeError(latents, want)
        #expect(error <= Tolerance.f32, "\(error)")
    }

    @Test("without its net a run is another one", arguments: ["1.0-g0", "2.1-g0", "lite-g0"])
    func effect(_ name: String) throws {
        let item = try ControlCase.named(name)
        var input = try item.input()
        input.controls[0].strength = 0
        let pipeline = try ControlCase.pipeline(.f32)
        var generations = [try pipeline.begin(input)]
        try pipeline.step(&generations)
        let want = try tensor("\(name).latents")
        let got = generations[0].latents.numbers
        #expect(relativeError(got, Array(want.prefix(got.count))) > 1e-2)
    }

    @Test("the control input: mean of the latents, mask and what is kept")
    func context() throws {
        let pipeline = try ControlCase.pipeline(.f32)
        for (run, name) in [("2.1-g0", "context"), ("2.1-inpaint", "inpaint.context")] {
            let generation = try pipeline.begin(try ControlCase.named(run).input())
            let trace = try #require(generation.trace)
            guard case .f32(let planes, let shape) = trace.tensors["control.0.context"] else {
                throw MissingTensor(name: "control.0.context")
            }
            #expect(shape[0] == 33)
            #expect(relativeError(planes, try tensor(name)) <= Tolerance.f32)
        }
    }

    @Test(
        "one evaluation in bf16 and int8 from the reference's own input",
        arguments: ["1.0", "2.0", "2.1", "lite"], [Precision.bf16, .int8])
    func stages(_ version: String, _ precision: Precision) throws {
        let model = try ControlCase.model()
        let device = try CPUBackend(precision: precision, threads: 2)
        let transformer = try Transformer(
            config: model.transformerConfig, store: try model.transformerStore(), device: device)
        let net = try ControlNet(
            name: version, base: model.transformerConfig,
            feedForward: try model.feedForwardWidth(),
            store: try TensorStore(controlNet: ControlCase.net(version)), device: device)
        let caption = try transformer.prepareCaption(features: try tensor("features"))
        let planes = Array(try tensor("context").prefix(net.config.channels * 12 * 8))
        var generator = TorchGenerator(seed: 5)
        var sequence = Transformer.Sequence(
            latents: generator.normals(16 * 12 * 8), height: 12, width: 8,
            caption: caption, time: 0)
        sequence.controls = [
            .init(net, planes, height: 12, width: 8, strength: 0.75)
        ]
        let got = try transformer([sequence])[0]
        let error = stageError(got, try tensor("\(version)-g0.output"), precision)
        #expect(error <= Tolerance.stage, "\(error)")
    }

    @Test(
        "version, inputs and places are found from shapes",
        arguments: [
            ("1.0", "1.0", 16, [0, 3]), ("2.0", "2.0", 33, [0, 2, 4]),
            ("2.1", "2.1", 33, [0, 2, 4]), ("lite", "2.1 lite", 33, [0]),
        ])
    func detection(_ net: String, _ version: String, _ channels: Int, _ places: [Int]) throws {
        let config = try ControlNetConfig(
            of: try TensorStore(controlNet: ControlCase.net(net)),
            for: try ControlCase.model().transformerConfig)
        #expect(config.version == version)
        #expect(config.channels == channels)
        #expect(config.places == places)
    }

    @Test("nets of another model and other files are refused with what was found")
    func refusals() throws {
        let embedded = Self.embeddedModel
        let other = try Pipeline(
            model: try ModelDirectory(url: embedded),
            device: try CPUBackend(precision: .f32, threads: 1))
        var input = PipelineInput(prompt: "a", width: 64, height: 64, steps: 2)
        input.controls = [
            ControlSource(url: ControlCase.net("1.0"), image: try ControlCase.image("control"))
        ]
        let wrongWidth = #expect(throws: ControlError.self) { try other.begin(input) }
        #expect(wrongWidth?.message.contains("width 32") == true, "\(wrongWidth?.message ?? "")")
        #expect(wrongWidth?.message.contains("'net-1.0.safetensors'") == true)

        let pipeline = try ControlCase.pipeline(.f32)
        var bad = try ControlCase.named("1.0-g0").input()
        bad.controls[0].url = ControlCase.folder.appending(
            path: "base/vae/diffusion_pytorch_model.safetensors")
        let wrongFile = #expect(throws: ControlError.self) { try pipeline.begin(bad) }
        #expect(wrongFile?.message.contains("is not a ControlNet") == true)

        var plain = try ControlCase.named("2.1-inpaint").input()
        plain.controls[0].url = ControlCase.net("1.0")
        let repaints = #expect(throws: ControlError.self) { try pipeline.begin(plain) }
        #expect(repaints?.message.contains("version 1.0") == true)

        var empty = try ControlCase.named("1.0-g0").input()
        empty.controls[0].image = nil
        #expect(throws: ControlError.self) { try pipeline.begin(empty) }
    }

    private static var embeddedModel: URL {
        ControlCase.folder.deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Models/emoji-nano")
    }

    private func tensor(_ name: String) throws -> [Float] {
        try #require(try ControlCase.goldens().tensor(named: name), "\(name)").floats()
    }

    private struct MissingTensor: Error { let name: String }
}
