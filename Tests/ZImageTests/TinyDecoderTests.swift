// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing
import ZImage

/// The small decoder for previews against diffusers' AutoencoderTiny, with weights that both compute.
@Suite struct TinyDecoderTests {
    /// The same numbers as `weight` in `Tests/Fixtures/make_weight_fixtures.py`.
    private static func weight(_ name: String, _ shape: [Int]) -> [Float] {
        var seed: UInt32 = 2_166_136_261
        for byte in name.utf8 { seed = (seed ^ UInt32(byte)) &* 16_777_619 }
        let depth = shape.count > 1 ? shape.dropFirst().reduce(1, *) : 16
        let scale = Float(exp2(-(log2(Double(depth)) / 2).rounded(.toNearestOrEven)))
        return (0..<shape.reduce(1, *)).map { place in
            var mixed = UInt32(truncatingIfNeeded: place) &* 2_654_435_761 &+ seed
            mixed = (mixed ^ mixed >> 15) &* 2_246_822_519
            mixed = (mixed ^ mixed >> 13) % 4096
            return (Float(mixed) / 2048 - 1) * scale
        }
    }

    private static func tensors(original: Bool) -> [NewTensor] {
        var tensors: [NewTensor] = []
        func add(_ layer: Int, _ part: String, _ shape: [Int]) {
            let name = "decoder.layers.\(layer)\(part)"
            // The original counts the clamp as a layer, and has no prefix.
            tensors.append(
                NewTensor(
                    original ? "\(layer + 1)\(part)" : name, shape: shape,
                    .f32(weight(name, shape))))
        }
        for block in [2, 3, 4, 7, 8, 9, 12, 13, 14, 17] {
            for convolution in [0, 2, 4] {
                add(block, ".conv.\(convolution).weight", [64, 64, 3, 3])
                add(block, ".conv.\(convolution).bias", [64])
            }
        }
        for next in [6, 11, 16] { add(next, ".weight", [64, 64, 3, 3]) }
        add(0, ".weight", [64, 16, 3, 3])
        add(0, ".bias", [64])
        add(18, ".weight", [3, 64, 3, 3])
        add(18, ".bias", [3])
        return tensors
    }

    @Test(
        "pixels are those of the reference, under both names of the weights",
        arguments: [true, false])
    func parity(original: Bool) throws {
        let fixture = try SafetensorsFile(
            url: URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Fixtures/weights/preview.safetensors"))
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "inkstone-preview-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "taef1.safetensors")
        try SafetensorsFile.write(Self.tensors(original: original), to: file)
        let device = try CPUBackend(precision: .f32, threads: 2)
        let decoder = try TinyDecoder(
            store: TensorStore(previewFile: file), latentChannels: 16, device: device)
        let latents = try #require(fixture.tensor(named: "latents"))
        let golden = try #require(fixture.tensor(named: "pixels")).floats()
        let pixels = decoder.decode(
            Planes(try latents.floats(), channels: 16, height: 3, width: 2))
        #expect(pixels.height == 24 && pixels.width == 16)
        // Measured: 1e-6.
        #expect(relativeError(pixels.numbers, golden) < 2e-5)
    }

    @Test("another decoder's file is refused") func foreign() throws {
        let device = try CPUBackend(precision: .f32, threads: 1)
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "inkstone-preview-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "taef1.safetensors")
        try SafetensorsFile.write(Self.tensors(original: false), to: file)
        #expect(throws: CheckpointError.self) {
            try TinyDecoder(
                store: TensorStore(previewFile: file), latentChannels: 4, device: device)
        }
    }
}
