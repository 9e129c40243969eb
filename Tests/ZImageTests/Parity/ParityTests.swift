// Part of Inkstone. Licence: see LICENSE.

import Imaging
import ModelFiles
import Tensors
import Testing
import ZImage

/// Whole runs and single stages against what diffusers and transformers computed.
@Suite("Same images as the reference")
struct ParityTests {
    @Test(
        "whole runs in f32: ids, features, every latent, the image", arguments: ReferenceCase.all)
    func wholeRun(_ item: ReferenceCase) throws {
        try compareRun(item, try item.pipeline(.f32))
    }

    @Test("every kernel variant agrees", arguments: CPUBackend.availableKernels)
    func variants(_ kernels: String) throws {
        for name in ["released/turbo", "deep/image", "modern/guided"] {
            let item = try ReferenceCase.named(name)
            try compareRun(item, try item.pipeline(.f32, kernels: kernels))
        }
    }

    private func compareRun(_ item: ReferenceCase, _ pipeline: Pipeline<CPUBackend>) throws {
        let goldens = try item.goldens()
        var generations = [try pipeline.begin(try item.input(goldens))]
        while !generations[0].isFinished { try pipeline.step(&generations) }
        _ = try pipeline.finish(&generations[0])
        let tensors = try #require(generations[0].trace).tensors
        var compared = 0
        for name in goldens.names {
            guard let tensor = tensors[name] else { continue }
            compared += 1
            switch tensor {
            case .i32(let ids, _):
                #expect(ids == (try goldens[name]?.int32s()), "\(name)")
            case .u8(let pixels, _):
                let want = try #require(goldens[name])
                let worst = zip(pixels, want.bytes).map { abs(Int($0) - Int($1)) }.max() ?? 0
                #expect(pixels.count == want.bytes.count && worst <= 1, "\(name): \(worst) levels")
            case .f32(var numbers, _):
                let want = try goldens.floats(name)
                if name == "latents", want.count < numbers.count {
                    // Some fixtures keep the last step only.
                    numbers = Array(numbers.suffix(want.count))
                }
                let error = relativeError(numbers, want)
                // Noise is compared to the last place: see `NoiseTests` for the limit.
                #expect(error <= Tolerance.f32, "\(name): \(error)")
            }
        }
        #expect(compared >= 4, "too few tensors were compared")
    }

    @Test("each layer of the transformer in f32")
    func layers() throws {
        let item = try ReferenceCase.named("released/turbo")
        let goldens = try item.goldens()
        let errors = try layerErrors(item, goldens, .f32)
        #expect(errors.count == 8, "\(errors.keys.sorted())")
        for (name, error) in errors { #expect(error <= Tolerance.f32, "\(name): \(error)") }
    }

    private func layerErrors(
        _ item: ReferenceCase, _ goldens: Goldens, _ precision: Precision
    ) throws -> [String: Float] {
        let (transformer, device) = try transformer(item, precision)
        var errors: [String: Float] = [:]
        func compare(_ name: String, _ values: CPUValues) {
            guard let want = try? goldens.floats("trace." + name) else { return }
            // The reference's embedded image is not padded yet.
            let got = Array(device.download(values).prefix(want.count))
            errors[name] = relativeError(got, want)
        }
        let caption = try transformer.prepareCaption(
            features: try goldens.floats("pos.text_features"), observer: compare)
        _ = try transformer(
            [try sequence(item, goldens, caption: caption)], observer: compare)
        return errors
    }

    private func transformer(
        _ item: ReferenceCase, _ precision: Precision
    ) throws -> (Transformer<CPUBackend>, CPUBackend) {
        let model = try ModelDirectory(url: item.checkpoint)
        let device = try CPUBackend(precision: precision, threads: 2)
        let transformer = try Transformer(
            config: model.transformerConfig, store: try model.transformerStore(), device: device)
        return (transformer, device)
    }

    /// The first step's sequence.
    private func sequence(
        _ item: ReferenceCase, _ goldens: Goldens, caption: Transformer<CPUBackend>.Caption
    ) throws -> Transformer<CPUBackend>.Sequence {
        let shape = try #require(goldens["latents.init"]).shape
        let sigma = try goldens.floats("sigmas")[0]
        return Transformer.Sequence(
            latents: try goldens.floats("latents.init"), height: shape[2], width: shape[3],
            caption: caption, time: 1 - sigma)
    }

    @Test(
        "text encoder, transformer, autoencoder from the reference's own input",
        arguments: ReferenceCase.all, [Precision.bf16, .int8])
    func stages(_ item: ReferenceCase, _ precision: Precision) throws {
        let goldens = try item.goldens()
        let model = try ModelDirectory(url: item.checkpoint)
        let device = try CPUBackend(precision: precision, threads: 2)
        if let features = try goldens["pos.text_features"]?.floats() {
            let encoder = try TextEncoder(
                config: model.textEncoderConfig, store: try model.textEncoderStore(),
                device: device, residency: .streamed)
            let ids = try #require(goldens["pos.input_ids"]).int32s()
            let error = stageError(try encoder.features(of: ids), features, precision)
            #expect(error <= Tolerance.stage, "features: \(error)")
            if let output = try goldens["transformer_out.0"]?.floats() {
                let (transformer, _) = try transformer(item, precision)
                let caption = try transformer.prepareCaption(features: features)
                let got = try transformer([try sequence(item, goldens, caption: caption)])[0]
                let error = stageError(got, Array(output.prefix(got.count)), precision)
                #expect(error <= Tolerance.stage, "transformer: \(error)")
            }
        }
        let autoencoder = try Autoencoder(
            config: model.autoencoderConfig, store: try model.autoencoderStore(), device: device)
        let shape = try #require(goldens["latents"]).shape
        let count = shape[1] * shape[2] * shape[3]
        let latents = Planes(
            Array(try goldens.floats("latents").suffix(count)), channels: shape[1],
            height: shape[2], width: shape[3])
        let decoded = try autoencoder.decode(latents)
        let pixels = try #require(goldens["rgb8"])
        let want = pixels.bytes.map { Float($0) / 255 }
        let area = decoded.height * decoded.width
        let got = (0..<(3 * area)).map { index in
            min(max(decoded.numbers[index % 3 * area + index / 3] / 2 + 0.5, 0), 1)
        }
        // Eight-bit pixels add half a level.
        let error = stageError(got, want, precision)
        #expect(error <= Tolerance.stage + 0.5 / 255, "decoder: \(error)")
        if let moments = try goldens["vae.encode_moments"]?.floats() {
            let image = try #require(goldens["image"])
            let area = image.shape[0] * image.shape[1]
            let planes = Planes(
                (0..<(3 * area)).map {
                    Float(image.bytes[$0 % area * 3 + $0 / area]) / 255 * 2 - 1
                }, channels: 3, height: image.shape[0], width: image.shape[1])
            let error = stageError(
                try autoencoder.moments(of: planes).numbers, moments, precision)
            #expect(error <= Tolerance.stage, "encoder: \(error)")
        }
    }

    @Test("the embedded model in bf16 is within 35 dB of f32", arguments: ["apple", "panda"])
    func embeddedModelInBF16(_ name: String) throws {
        let item = try ReferenceCase.named("emoji-nano/\(name)")
        let goldens = try item.goldens()
        let input = try item.input(goldens)
        let image = try item.pipeline(.bf16).generate(input)
        let exact = try item.pipeline(.f32).generate(input)
        #expect(try psnr(image, exact) >= 35)
        let golden = try #require(goldens["rgb8"])
        let reference = try RGBImage(
            width: exact.width, height: exact.height, pixels: Array(golden.bytes))
        #expect(try psnr(exact, reference) > 50)
    }
}
