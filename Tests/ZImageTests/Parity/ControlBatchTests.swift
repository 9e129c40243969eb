// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Tensors
import Testing
import ZImage

/// Images with and without ControlNets share passes, and are the same to the bit as alone.
@Suite("ControlNets in ragged batches")
struct ControlBatchTests {
    /// Random numbers of a fixed seed.
    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) ^ (state << 31)
        }
    }

    /// A LoRA file that changes a product and the modulation, removed with the last reference.
    private final class LoRAFile: Sendable {
        let url = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-control-\(UUID().uuidString).safetensors")

        init() throws {
            var generator = TorchGenerator(seed: 1)
            var tensors: [NewTensor] = []
            for (name, rows) in [
                ("layers.0.attention.to_q", 32), ("noise_refiner.0.adaLN_modulation.0", 128),
            ] {
                for (end, shape) in [("lora_A", [2, 32]), ("lora_B", [rows, 2])] {
                    let numbers = generator.normals(shape[0] * shape[1]).map { $0 * 0.2 }
                    tensors.append(
                        NewTensor("\(name).\(end).weight", shape: shape, .f32(numbers)))
                }
            }
            try SafetensorsFile.write(tensors, to: url)
        }

        deinit { try? FileManager.default.removeItem(at: url) }
    }

    private let lora: LoRAFile

    init() throws { lora = try LoRAFile() }

    private func input(_ index: Int, _ random: inout Random) throws -> PipelineInput {
        let sides = [32, 48, 64, 96]
        var input = PipelineInput(
            prompt: ["a cat", "", "a cat's café, 12 red chairs and a mountain lake at sunset"][
                index % 3],
            width: sides[Int.random(in: 0..<4, using: &random)],
            height: sides[Int.random(in: 0..<4, using: &random)],
            steps: Int.random(in: 1...4, using: &random),
            guidanceScale: Bool.random(using: &random) ? 0 : 3, seed: UInt64(index))
        if index % 3 == 1 { input.loras = [LoRASource(url: lora.url, scale: 0.7)] }
        let control = try ControlCase.image("control")
        for net in ["2.1", "1.0", "lite", "2.0"].shuffled(using: &random).prefix(
            Int.random(in: 0...2, using: &random))
        {
            var source = ControlSource(
                url: ControlCase.net(net), image: control,
                strength: [0.3, 0.75, 1].randomElement(using: &random) ?? 1)
            if Bool.random(using: &random) { (source.start, source.end) = (0.25, 0.6) }
            if net != "1.0", Bool.random(using: &random) {
                source.repaint = .init(
                    image: try ControlCase.image("image"), mask: try ControlCase.image("mask"))
            }
            input.controls.append(source)
            // The same net twice in an image.
            if index % 7 == 0 { input.controls.append(source) }
        }
        return input
    }

    @Test("images that join and leave between steps", arguments: Precision.allCases)
    func ragged(_ precision: Precision) throws {
        var random = Random(state: 11)
        let inputs = try (0..<40).map { try input($0, &random) }
        let single = try ControlCase.pipeline(precision, threads: 1)
        // The order in which nets are loaded must not matter either.
        let alone = try inputs.reversed().map { try single.generate($0) }.reversed() as [RGBImage]
        let pipeline = try ControlCase.pipeline(precision, threads: 3)
        var waiting = Array(inputs.indices)
        var running: [(index: Int, generation: Generation<CPUBackend>)] = []
        var done = 0
        var largest = 0
        while done < inputs.count {
            for _ in 0..<Int.random(in: 0...3, using: &random) where !waiting.isEmpty {
                let next = waiting.removeFirst()
                running.append((next, try pipeline.begin(inputs[next])))
            }
            guard !running.isEmpty else { continue }
            running.shuffle(using: &random)
            var batch = running.map(\.generation)
            largest = max(largest, batch.count)
            try pipeline.step(&batch)
            for index in running.indices { running[index].generation = batch[index] }
            for item in running where item.generation.isFinished {
                var finished = item.generation
                #expect(try pipeline.finish(&finished) == alone[item.index], "\(item.index)")
                done += 1
            }
            running.removeAll { $0.generation.isFinished }
        }
        #expect(largest > 3)
        #expect(Set(pipeline.loadedControlNets.map(\.name)).count == 4)
    }

    @Test("a net counts as tokens in the steps in which it acts")
    func tokens() throws {
        let pipeline = try ControlCase.pipeline(.f32)
        var input = try ControlCase.named("range").input()
        var generations = [try pipeline.begin(input)]
        var counts: [Int] = []
        while !generations[0].isFinished {
            counts.append(generations[0].tokens)
            try pipeline.step(&generations)
        }
        input.controls = []
        let own = try pipeline.begin(input).tokens
        // 5 blocks of the net for 8 of the transformer, in the second and third of four steps.
        #expect(counts == [own, own + own * 5 / 8, own + own * 5 / 8, own])
    }

    @Test("a value that is not finite names the image, whatever the order of the sequences")
    func notFinite() throws {
        let pipeline = try ControlCase.pipeline(.f32)
        var plain = try ControlCase.named("2.1-g0").input()
        plain.controls = []
        let good = try ControlCase.named("2.1-g0").input()
        var bad = good
        var noise = [Float](repeating: 0.5, count: 16 * 12 * 8)
        noise[3] = .nan
        bad.noise = noise
        var batch = [try pipeline.begin(plain), try pipeline.begin(good), try pipeline.begin(bad)]
        let error = #expect(throws: NumericError.self) { try pipeline.step(&batch) }
        #expect(error?.sequence == 2)
    }
}
