// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Parameters
import Tensors
import Testing
import ZImage

/// Noise of two seeds, of another size, and enlarged latents, against torch and AUTOMATIC1111's formulas.
@Suite("Noise of more than a seed") struct SeedNoiseTests {
    private struct Goldens: Decodable {
        struct Noise: Decodable {
            let shape: [Int]
            let seed: UInt64
            let subseed: UInt64
            let strength: Double
            let source: [Int]
            let noise: [Float]
            let next: [Float]
        }
        struct Sizes: Decodable {
            let planes: [Float]
            let enlarged: [String: [Float]]
        }

        let noise: [Noise]
        let sizes: Sizes

        static func stored() throws -> Goldens {
            let file = URL(filePath: #filePath)
                .deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Fixtures/samplers/goldens.json")
            return try JSONDecoder().decode(Goldens.self, from: Data(contentsOf: file))
        }
    }

    private func distance(_ a: [Float], _ b: [Float]) -> Float {
        zip(a, b).map { abs($0 - $1) }.max() ?? .infinity
    }

    @Test("the noise is that of A1111, and the generator continues after it") func noise() throws {
        let all = try Goldens.stored().noise
        #expect(all.count == 5)
        for golden in all {
            var choices = SeedChoices()
            if golden.strength > 0 {
                choices.variation = SeedVariation(seed: golden.subseed, strength: golden.strength)
            }
            // Sizes are in pixels, 8 for each latent.
            choices.noiseSize = PixelSize(width: golden.source[1] * 8, height: golden.source[0] * 8)
            var generator = TorchGenerator(seed: golden.seed)
            let noise = SeedNoise.draw(
                .init(channels: golden.shape[0], height: golden.shape[1], width: golden.shape[2]),
                seed: golden.seed, choices, scale: 8, from: &generator)
            try #require(noise.count == golden.noise.count)
            #expect(distance(noise, golden.noise) < 2e-5, "\(golden.shape) \(golden.source)")
            #expect(distance(generator.normals(16), golden.next) < 1e-5)
        }
    }

    @Test("enlarged latents are those of torch") func sizes() throws {
        let golden = try Goldens.stored().sizes
        let planes = Planes(golden.planes, channels: 2, height: 4, width: 5)
        #expect(golden.enlarged.count == 3)
        for (name, numbers) in golden.enlarged {
            let upscaler = try #require(SecondPass.Upscaler(rawValue: name))
            let enlarged = planes.resized(height: 7, width: 10, upscaler)
            #expect(distance(enlarged.numbers, numbers) < 1e-5, "\(name)")
            #expect(enlarged.height == 7 && enlarged.width == 10)
        }
    }

    @Test("noise on features has the stated share and amplitude") func variance() {
        var generator = TorchGenerator(seed: 1)
        let features = generator.normals(10_000).map { 3 * $0 + 1 }
        var variance = SeedVariance(strength: 0.5)
        let varied = SeedNoise.varied(features, variance, seed: 4)
        let offsets = zip(varied, features).map { $0 - $1 }
        let changed = offsets.filter { $0 != 0 }
        #expect((4800...5200).contains(changed.count))
        // Uniform in a half of the deviation of 3 to each side.
        #expect(changed.allSatisfy { abs($0) < 1.6 })
        let mean = changed.reduce(0) { $0 + abs($1) } / Float(changed.count)
        #expect(abs(mean - 0.75) < 0.03)
        #expect(varied == SeedNoise.varied(features, variance, seed: 4))
        #expect(varied != SeedNoise.varied(features, variance, seed: 5))
        variance.share = 0
        #expect(SeedNoise.varied(features, variance, seed: 4) == features)
    }
}
