// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors
import Testing
import ZImage

/// Rows that the transformer skips and tables that it caches change no bit of its output.
@Suite("Shortcuts of the transformer")
struct TransformerShortcutTests {
    private typealias Model = Transformer<CPUBackend>

    private func model(_ name: String, _ precision: Precision) throws -> Model {
        let model = try ModelDirectory(url: try ReferenceCase.named(name).checkpoint)
        return try Transformer(
            config: model.transformerConfig, store: try model.transformerStore(),
            device: try CPUBackend(precision: precision, threads: 2))
    }

    private func sequence(
        _ model: Model, height: Int, width: Int, promptTokens: Int, time: Float, seed: UInt64
    ) throws -> Model.Sequence {
        let config = model.config
        var generator = TorchGenerator(seed: seed)
        return Transformer.Sequence(
            latents: generator.normals(config.inChannels * height * width), height: height,
            width: width,
            caption: try model.prepareCaption(
                features: generator.normals(promptTokens * config.captionWidth)), time: time)
    }

    private func bits(_ outputs: [[Float]]) -> [[UInt32]] {
        outputs.map { $0.map(\.bitPattern) }
    }

    // An observer sees every row of the last block; without one, captions and padding end before it.
    @Test("rows that are not part of the output", arguments: Precision.allCases)
    func lastBlock(_ precision: Precision) throws {
        let model = try model("emoji-nano/apple", precision)
        let batch = [
            try sequence(model, height: 10, width: 14, promptTokens: 40, time: 0.5, seed: 1),
            try sequence(model, height: 16, width: 16, promptTokens: 3, time: 0.5, seed: 2),
        ]
        var stages: [String] = []
        let observed = try model(batch, observer: { name, _ in stages.append(name) })
        #expect(stages.contains("t_emb") && stages.contains("final_layer"))
        #expect(bits(try model(batch)) == bits(observed))
    }

    @Test("times that were seen before, and more times than are kept")
    func manyTimes() throws {
        let model = try model("released/turbo", .f32)
        let first = try sequence(
            model, height: 2, width: 2, promptTokens: 1, time: 0, seed: 3)
        let batch = (0..<300).map { index in
            var own = first
            own.time = Float(index) / 300
            return own
        }
        let alone = try [7, 299].map { try model([batch[$0]])[0] }
        let together = try model(batch)
        #expect(bits([together[7], together[299]]) == bits(alone))
        #expect(together[7] != together[299])
        #expect(bits(try model([batch[7], batch[7]])) == bits([alone[0], alone[0]]))
        #expect(bits(try model([batch[299], batch[7]])) == bits([alone[1], alone[0]]))
    }

    @Test("a time that is not a number is found with its sequence")
    func notFinite() throws {
        let model = try model("emoji-nano/apple", .f32)
        let fine = try sequence(
            model, height: 8, width: 8, promptTokens: 40, time: 0.5, seed: 4)
        var bad = fine
        bad.time = .nan
        let error = #expect(throws: NumericError.self) { _ = try model([fine, bad]) }
        #expect(error?.sequence == 1)
        #expect(try model([fine]).count == 1)
    }
}
