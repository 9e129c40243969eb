// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing
import VulkanTensors
import ZImage

/// The stages of a model in reduced precisions against what diffusers and transformers computed in f32.
@Suite("Stages on a Vulkan device agree with the reference", .needsVulkan)
struct StageParityTests {
    /// A run of the reference on a small checkpoint; `Tests/Fixtures/make_parity_fixtures.py` wrote it.
    struct Case: Sendable, CustomTestStringConvertible {
        private struct File: Decodable {
            struct Run: Decodable { let name: String }
            let checkpoint: String
            let runs: [Run]
        }

        let folder: URL
        let checkpoint: URL
        let name: String
        var testDescription: String { "\(folder.lastPathComponent)/\(name)" }

        /// Every run of every fixture.
        static let all: [Case] = {
            let root = URL(filePath: #filePath)
                .deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Fixtures/parity")
            let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
            return names.sorted().flatMap { name -> [Case] in
                let folder = root.appending(path: name)
                guard let data = try? Data(contentsOf: folder.appending(path: "case.json")),
                    let file = try? JSONDecoder().decode(File.self, from: data)
                else { return [] }
                let checkpoint = folder.appending(path: file.checkpoint).standardizedFileURL
                return file.runs.map {
                    Case(folder: folder, checkpoint: checkpoint, name: $0.name)
                }
            }
        }()

        /// Opens the reference's tensors.
        func goldens() throws -> Goldens {
            Goldens(
                file: try SafetensorsFile(url: folder.appending(path: "goldens.safetensors")),
                prefix: name + ".")
        }
    }

    /// The tensors of a run, valid as long as this is.
    final class Goldens {
        private let file: SafetensorsFile
        private let prefix: String

        init(file: SafetensorsFile, prefix: String) {
            self.file = file
            self.prefix = prefix
        }

        subscript(name: String) -> StoredTensor? { file.tensor(named: prefix + name) }

        func floats(_ name: String) throws -> [Float] {
            try #require(self[name], "golden \(name)").floats()
        }
    }

    /// In f16 the largest difference, of the largest magnitude; in int8, where a number is one of 255 steps of its
    /// row's largest, the root mean square of the difference, of that of the reference.
    private func error(_ got: [Float], _ want: [Float], _ precision: Precision) -> Float {
        guard got.count == want.count, got.allSatisfy({ $0.isFinite }) else { return .infinity }
        let differences = zip(got, want).map { $0 - $1 }
        func square(_ numbers: [Float]) -> Float { numbers.reduce(0) { $0 + $1 * $1 } }
        func largest(_ numbers: [Float]) -> Float { numbers.reduce(0) { max($0, abs($1)) } }
        return precision == .int8
            ? (square(differences) / max(square(want), 1e-12)).squareRoot()
            : largest(differences) / max(largest(want), 1e-6)
    }

    private static let limit: Float = 2e-2

    @Test("there are runs of the reference")
    func cases() { #expect(Case.all.count > 10) }

    @Test("each from the reference's own input", arguments: Case.all, [Precision.bf16, .int8])
    func stages(_ item: Case, _ precision: Precision) throws {
        let model = try ModelDirectory(url: item.checkpoint)
        let device = try TestDevice.backend(precision: precision)
        let goldens = try item.goldens()
        defer { withExtendedLifetime(goldens) {} }
        try compareTransformer(goldens, model, device)
        let autoencoder = try Autoencoder(
            config: model.autoencoderConfig, store: try model.autoencoderStore(), device: device)
        let shape = try #require(goldens["latents"]).shape
        let latents = try goldens.floats("latents").suffix(shape[1] * shape[2] * shape[3])
        let decoded = try autoencoder.decode(
            Planes(Array(latents), channels: shape[1], height: shape[2], width: shape[3]))
        let want = try #require(goldens["rgb8"]).bytes.map { Float($0) / 255 }
        let area = decoded.height * decoded.width
        let got = (0..<(3 * area)).map { index in
            min(max(decoded.numbers[index % 3 * area + index / 3] / 2 + 0.5, 0), 1)
        }
        if let failure = device.failure { throw failure }
        // Eight-bit pixels add half a level.
        let error = error(got, want, precision)
        #expect(error <= Self.limit + 0.5 / 255, "decoder: \(error)")
    }

    private func compareTransformer(
        _ goldens: Goldens, _ model: ModelDirectory, _ device: VulkanBackend
    ) throws {
        // Runs of image-to-image have neither.
        guard let features = try goldens["pos.text_features"]?.floats() else { return }
        let ids = try #require(goldens["pos.input_ids"]).int32s()
        let encoder = try TextEncoder(
            config: model.textEncoderConfig, store: try model.textEncoderStore(), device: device,
            residency: .streamed)
        let encoded = error(try encoder.features(of: ids), features, device.precision)
        #expect(encoded <= Self.limit, "features: \(encoded)")
        guard let output = try goldens["transformer_out.0"]?.floats() else { return }
        let transformer = try Transformer(
            config: model.transformerConfig, store: try model.transformerStore(), device: device)
        let shape = try #require(goldens["latents.init"]).shape
        let got = try transformer([
            Transformer.Sequence(
                latents: try goldens.floats("latents.init"), height: shape[2], width: shape[3],
                caption: try transformer.prepareCaption(features: features),
                time: 1 - (try goldens.floats("sigmas"))[0])
        ])[0]
        let error = error(got, Array(output.prefix(got.count)), device.precision)
        #expect(error <= Self.limit, "transformer: \(error)")
    }
}
