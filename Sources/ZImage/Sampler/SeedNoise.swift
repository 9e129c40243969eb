// Part of Inkstone. Licence: see LICENSE.

package import Parameters
package import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Noise that an image starts from.
///
/// - Source: AUTOMATIC1111's `modules/rng.py`, `ImageRNG.first` and `slerp`; compared by `SeedNoiseTests`.
package enum SeedNoise {
    /// Rows and columns of noise of several channels.
    package struct Shape: Sendable, Equatable {
        package var channels: Int
        package var height: Int
        package var width: Int
        var count: Int { channels * height * width }

        package init(channels: Int, height: Int, width: Int) {
            (self.channels, self.height, self.width) = (channels, height, width)
        }
    }

    /// Draws noise `[C, h, w]`.
    ///
    /// - Parameters:
    ///   - shape: that of the image's latents.
    ///   - seed: the image's seed, whose fresh numbers noise of another size consists of.
    ///   - choices: a second seed, and another size.
    ///   - scale: pixels along a side of a latent pixel.
    ///   - generator: the image's generator, which draws the noise of the image's own size and continues afterwards.
    /// - Returns: the noise.
    package static func draw(
        _ shape: Shape, seed: UInt64, _ choices: SeedChoices, scale: Int,
        from generator: inout TorchGenerator
    ) -> [Float] {
        var source = shape
        if let size = choices.noiseSize {
            (source.height, source.width) = (size.height / scale, size.width / scale)
        }
        func fresh(_ seed: UInt64) -> [Float] {
            var generator = TorchGenerator(seed: seed)
            return generator.normals(source.count)
        }
        var noise = source == shape ? generator.normals(shape.count) : fresh(seed)
        if let variation = choices.variation {
            noise = mix(noise, fresh(variation.seed), source, share: variation.strength)
        }
        guard source != shape else { return noise }
        var whole = generator.normals(shape.count)
        paste(noise, source, into: &whole, shape)
        return whole
    }

    /// Spherical interpolation along the rows: for each channel and column the vectors of all rows are compared.
    package static func mix(
        _ first: [Float], _ second: [Float], _ shape: Shape, share: Double
    ) -> [Float] {
        let columns = shape.channels * shape.width
        func indices(_ column: Int) -> StrideTo<Int> {
            let start = column / shape.width * shape.height * shape.width + column % shape.width
            return stride(
                from: start, to: start + shape.height * shape.width, by: shape.width)
        }
        let cosines = (0..<columns).map { column -> Double in
            var (product, a, b) = (0.0, 0.0, 0.0)
            for index in indices(column) {
                let (one, other) = (Double(first[index]), Double(second[index]))
                product += one * other
                a += one * one
                b += other * other
            }
            return product / (a * b).squareRoot()
        }
        var mixed = first
        if cosines.reduce(0, +) / Double(columns) > 0.9995 {
            for index in mixed.indices {
                mixed[index] = Float(
                    share * Double(first[index]) + (1 - share) * Double(second[index]))
            }
            return mixed
        }
        for column in 0..<columns {
            let angle = acos(min(1, max(-1, cosines[column])))
            // Vectors of the same or of opposite direction have no arc; a straight line joins them.
            let sine = sin(angle)
            let (a, b) =
                sine > 1e-6
                ? (sin((1 - share) * angle) / sine, sin(share * angle) / sine) : (1 - share, share)
            for index in indices(column) {
                mixed[index] = Float(a * Double(first[index]) + b * Double(second[index]))
            }
        }
        return mixed
    }

    /// Copies the middle of noise of one size to the middle of noise of another.
    private static func paste(
        _ noise: [Float], _ source: Shape, into whole: inout [Float], _ shape: Shape
    ) {
        // Rounded down, as the reference's division does.
        let left = (shape.width - source.width) >> 1
        let top = (shape.height - source.height) >> 1
        let width = left >= 0 ? source.width : source.width + 2 * left
        let height = top >= 0 ? source.height : source.height + 2 * top
        for channel in 0..<shape.channels {
            for row in 0..<height {
                let from =
                    (channel * source.height + row + max(0, -top)) * source.width + max(0, -left)
                let to = (channel * shape.height + row + max(0, top)) * shape.width + max(0, left)
                for column in 0..<width { whole[to + column] = noise[from + column] }
            }
        }
    }

    /// Adds noise to a share of a prompt's features.
    ///
    /// The generators are those of the seed and of the next one; torch's `rand_like` draws the same numbers.
    ///
    /// - Parameters:
    ///   - features: the features.
    ///   - variance: amplitude and share.
    ///   - seed: the image's seed.
    /// - Returns: the changed features.
    package static func varied(
        _ features: [Float], _ variance: SeedVariance, seed: UInt64
    ) -> [Float] {
        let count = Double(features.count)
        let mean = features.reduce(0) { $0 + Double($1) } / count
        let squares = features.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
        let amplitude = variance.strength * (squares / max(1, count - 1)).squareRoot()
        var noise = TorchGenerator(seed: seed)
        var mask = TorchGenerator(seed: seed &+ 1)
        return features.map { feature in
            let offset = amplitude * (2 * Double(noise.uniform()) - 1)
            return Double(mask.uniform()) < variance.share
                ? Float(Double(feature) + offset) : feature
        }
    }
}
