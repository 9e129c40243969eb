// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors
import Testing
import ZImage

/// Every block of the transformer, every layer of the text encoder and the decoder in bf16 and int8
/// against f32, each from the same input, so that no error is carried from one to the next.
@Suite("Each stage in a smaller precision")
struct StageTests {
    /// One case of every small random model.
    static let models: [ReferenceCase] = {
        var seen: Set<String> = ["emoji-nano"]
        return ReferenceCase.all.filter { seen.insert($0.fixture).inserted }
    }()

    private func device(_ precision: Precision) throws -> CPUBackend {
        try CPUBackend(precision: precision, threads: 2)
    }

    private func noise(_ count: Int, seed: UInt64) -> [Float] {
        var generator = TorchGenerator(seed: seed)
        return Array(generator.normals(max(16, count)).prefix(count))
    }

    private func check(_ name: String, _ errors: [Float], _ precision: Precision) {
        let worst = errors.max() ?? 1
        let percent = (worst * 1000).rounded() / 10
        print("\(name) in \(precision): \(errors.count), at most \(percent) % off")
        #expect(worst <= Tolerance.stage, "\(name): \(errors)")
    }

    @Test("blocks of the transformer", arguments: models, [Precision.bf16, .int8])
    func blocks(_ item: ReferenceCase, _ precision: Precision) throws {
        let model = try ModelDirectory(url: item.checkpoint)
        let errors = try model.transformerSpec().blocks.map(\.name).map { name in
            func output(_ precision: Precision) throws -> [Float] {
                let block = try TimedBlock(
                    name, of: model, device: try device(precision), tokens: 45)
                try block.run()
                return block.values
            }
            return stageError(try output(precision), try output(.f32), precision)
        }
        check("\(item.fixture) blocks", errors, precision)
    }

    @Test("layers of the text encoder", arguments: models, [Precision.bf16, .int8])
    func textLayers(_ item: ReferenceCase, _ precision: Precision) throws {
        let model = try ModelDirectory(url: item.checkpoint)
        let config = model.textEncoderConfig
        func encoder(_ precision: Precision) throws -> TextEncoder<CPUBackend> {
            try TextEncoder(
                config: config, store: try model.textEncoderStore(),
                device: try device(precision), residency: .resident)
        }
        let (exact, rounded) = (try encoder(.f32), try encoder(precision))
        let errors = try (0..<config.usedLayers).map { index in
            let x = noise(21 * config.hiddenSize, seed: UInt64(index))
            return stageError(
                try rounded.layer(index, on: x), try exact.layer(index, on: x), precision)
        }
        check("\(item.fixture) text layers", errors, precision)
    }

    @Test("the decoder", arguments: models, [Precision.bf16, .int8])
    func decoder(_ item: ReferenceCase, _ precision: Precision) throws {
        let model = try ModelDirectory(url: item.checkpoint)
        let config = model.autoencoderConfig
        let latents = Planes(
            noise(config.latentChannels * 6 * 10, seed: 1), channels: config.latentChannels,
            height: 6, width: 10)
        func output(_ precision: Precision) throws -> [Float] {
            try Autoencoder(
                config: config, store: try model.autoencoderStore(),
                device: try device(precision)
            ).decode(latents).numbers
        }
        check(
            "\(item.fixture) decoder",
            [stageError(try output(precision), try output(.f32), precision)], precision)
    }

    @Test("a row too long for int8 is refused when the weights are loaded")
    func longRow() throws {
        let config = TextEncoderConfig(
            hiddenSize: 32, intermediateSize: 32_800, hiddenLayers: 2, attentionHeads: 2,
            keyValueHeads: 1, ropeTheta: 1e6, maxPositions: 64)
        let store = try TensorStore.random(config.tensorSpecs)
        let error = #expect(throws: CheckpointError.self) {
            _ = try TextEncoder(
                config: config, store: store, device: try device(.int8), residency: .resident)
        }
        #expect(error?.code == .unsupported)
        #expect(
            error?.description
                == "tensor 'layers.0.mlp.down_proj.weight' has 32800 columns, but products in int8"
                + " take at most 32768. Choose the precision bf16.")
        _ = try TextEncoder(
            config: config, store: store, device: try device(.bf16), residency: .resident)
    }
}
