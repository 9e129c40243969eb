// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing
import ZImage

/// Large images are decoded and encoded in tiles, blended as in the reference.
@Suite("Tiles blend as the reference's do")
struct TilingTests {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/parity")

    private func autoencoder() throws -> Autoencoder<CPUBackend> {
        let model = try ModelDirectory(url: Self.folder.appending(path: "released"))
        return try Autoencoder(
            config: model.autoencoderConfig, store: try model.autoencoderStore(),
            device: try CPUBackend(precision: .f32, threads: 2),
            tiling: Tiling(config: model.autoencoderConfig, tile: 8, limit: 64))
    }

    private func golden(_ name: String) throws -> StoredTensor {
        try #require(
            try SafetensorsFile(url: Self.folder.appending(path: "tiling.safetensors"))
                .tensor(named: name))
    }

    @Test("decoding")
    func decode() throws {
        let latents = try golden("latents")
        let planes = Planes(
            try latents.floats(), channels: latents.shape[1], height: latents.shape[2],
            width: latents.shape[3])
        let got = try autoencoder().decode(planes)
        #expect((got.height, got.width) == (112, 80))
        let error = relativeError(got.numbers, try golden("decoded").floats())
        #expect(error <= Tolerance.f32, "\(error)")
    }

    @Test("encoding")
    func encode() throws {
        let pixels = try golden("pixels")
        let planes = Planes(
            pixels.bytes.map { Float($0) / 255 * 2 - 1 }, channels: 3, height: pixels.shape[2],
            width: pixels.shape[3])
        let got = try autoencoder().moments(of: planes)
        let error = relativeError(got.numbers, try golden("moments").floats())
        #expect(error <= Tolerance.f32, "\(error)")
    }

    @Test("images below the limit are not divided")
    func limit() throws {
        let model = try ModelDirectory(url: Self.folder.appending(path: "released"))
        let tiling = Tiling(config: model.autoencoderConfig)
        #expect(!tiling.applies(to: 192, 192))
        #expect(tiling.applies(to: 193, 192))
    }
}
