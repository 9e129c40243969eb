// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// Samplers on a small transformer against diffusers' scheduler classes, step by step.
@Suite("Samplers on a transformer") struct SamplerTrajectoryTests {
    /// The levels of a run of a scheduler class.
    private struct Reference: Decodable {
        let levels: [Double]
        let order: Int?
    }

    private struct Goldens: Decodable {
        let diffusers: [String: Reference]
    }

    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures")
    /// The seed of the step noise.
    private static let noiseSeed: UInt64 = 5

    private typealias Model = Transformer<CPUBackend>

    private func model() throws -> (transformer: Model, width: Int) {
        let directory = try ModelDirectory(url: Self.folder.appending(path: "control/base"))
        let config = directory.transformerConfig
        return (
            try Model(
                config: config, store: try directory.transformerStore(),
                device: try CPUBackend(precision: .f32, threads: 2)), config.inChannels
        )
    }

    @Test("every step of 12 trajectories is that of diffusers' scheduler classes")
    func trajectories() throws {
        let file = try SafetensorsFile(
            url: Self.folder.appending(path: "samplers/transformer.safetensors"))
        let goldens = try JSONDecoder().decode(
            Goldens.self,
            from: Data(contentsOf: Self.folder.appending(path: "samplers/goldens.json")))
        let (transformer, channels) = try model()
        let features = try #require(file.tensor(named: "features")).floats()
        let start = try #require(file.tensor(named: "latents"))
        #expect(start.shape == [channels, 4, 6])
        let caption = try transformer.prepareCaption(features: features)
        #expect(goldens.diffusers.count == 12)
        for (name, reference) in goldens.diffusers.sorted(by: { $0.key < $1.key }) {
            let golden = try #require(file.tensor(named: name), "\(name)").floats()
            let word = String(try #require(name.split(separator: " ").first))
            var run = SamplerRun(
                .init(try #require(Sampler(rawValue: word)), order: reference.order),
                levels: reference.levels, latents: try start.floats())
            var generator = TorchGenerator(seed: Self.noiseSeed)
            let count = start.shape.reduce(1, *)
            var largest: Float = 0
            while !run.isFinished {
                let query = run.query
                let output = try transformer([
                    Model.Sequence(
                        latents: query.latents, height: 4, width: 6, caption: caption,
                        time: FlowMatchSchedule.time(at: Float(query.level)))
                ])
                run.take(output[0].map { -$0 }) { generator.normals($0) }
                guard run.isBetweenSteps else { continue }
                let expected = golden[((run.evaluations - 1) * count)..<(run.evaluations * count)]
                let scale = expected.map(abs).max() ?? 1
                let error = zip(run.latents, expected).map { abs($0 - $1) }.max() ?? 1
                largest = max(largest, error / scale)
            }
            #expect(golden.count == run.evaluations * count)
            #expect(largest < 2e-4, "\(name): \(largest)")
        }
    }
}
