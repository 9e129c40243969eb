// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles

/// Decodes and encodes large images in overlapping tiles, blended linearly.
///
/// Norms and attention work on one tile at a time, so that pixels differ slightly from those of an
/// undivided image: below the limit, which takes about 4 GB, images are not divided.
///
/// - Source: diffusers 0.42.1, `AutoencoderKL.tiled_decode` and `tiled_encode`; checked by
///   `TilingTests`.
package struct Tiling: Sendable {
    /// Latent pixels of the largest undivided image; 192 x 192 is 1536 x 1536 pixels at scale 8.
    static let limit = 192 * 192

    /// Rows and columns of a tile in latent pixels.
    let tile: Int
    /// Distance between tiles in latent pixels.
    private let step: Int
    /// Latent pixels that a tile shares with its neighbour.
    private let overlap: Int
    private let scale: Int
    private let limit: Int

    /// Creates a tiling with tiles of `tile` x `tile` latent pixels for images of more than `limit`.
    package init(config: AutoencoderConfig, tile: Int? = nil, limit: Int? = nil) {
        scale = config.scale
        self.tile = tile ?? max(128, config.sampleSize / config.scale)
        self.limit = limit ?? Self.limit
        step = self.tile * 3 / 4
        overlap = self.tile - step
    }

    package func applies(to height: Int, _ width: Int) -> Bool { height * width > limit }

    func decode(
        _ latents: Planes, _ body: (Planes) throws(NumericError) -> Planes
    ) throws(NumericError) -> Planes {
        try run(latents, inScale: 1, outScale: scale, body)
    }

    func encode(
        _ pixels: Planes, _ body: (Planes) throws(NumericError) -> Planes
    ) throws(NumericError) -> Planes {
        try run(pixels, inScale: scale, outScale: 1, body)
    }

    private func run(
        _ input: Planes, inScale: Int, outScale: Int,
        _ body: (Planes) throws(NumericError) -> Planes
    ) throws(NumericError) -> Planes {
        let (inTile, inStep) = (tile * inScale, step * inScale)
        let (outStep, blend) = (step * outScale, overlap * outScale)
        let height = input.height / inScale * outScale
        let width = input.width / inScale * outScale
        var output: Planes?
        var above: [Planes] = []
        for (row, top) in stride(from: 0, to: input.height, by: inStep).enumerated() {
            var current: [Planes] = []
            for (column, left) in stride(from: 0, to: input.width, by: inStep).enumerated() {
                var part = try body(
                    input.crop(
                        top: top, left: left, height: min(inTile, input.height - top),
                        width: min(inTile, input.width - left)))
                if row > 0 { part.blendRows(with: above[column], count: blend) }
                if column > 0 { part.blendColumns(with: current[column - 1], count: blend) }
                current.append(part)
                var whole =
                    output
                    ?? Planes(
                        [Float](repeating: 0, count: part.channels * height * width),
                        channels: part.channels, height: height, width: width)
                whole.paste(
                    part, top: row * outStep, left: column * outStep,
                    height: min(outStep, part.height), width: min(outStep, part.width))
                output = whole
            }
            above = current
        }
        return output ?? Planes([], channels: 0, height: 0, width: 0)
    }
}

extension Planes {
    /// Blends the last rows of `other` into the first rows.
    fileprivate mutating func blendRows(with other: Planes, count: Int) {
        let count = min(count, height, other.height)
        for channel in 0..<channels {
            for row in 0..<count {
                let weight = Float(row) / Float(count)
                let from = (channel * other.height + other.height - count + row) * other.width
                let to = (channel * height + row) * width
                for column in 0..<min(width, other.width) {
                    numbers[to + column] =
                        other.numbers[from + column] * (1 - weight) + numbers[to + column] * weight
                }
            }
        }
    }

    /// Blends the last columns of `other` into the first columns.
    fileprivate mutating func blendColumns(with other: Planes, count: Int) {
        let count = min(count, width, other.width)
        for channel in 0..<channels {
            for row in 0..<min(height, other.height) {
                let from = (channel * other.height + row) * other.width + other.width - count
                let to = (channel * height + row) * width
                for column in 0..<count {
                    let weight = Float(column) / Float(count)
                    numbers[to + column] =
                        other.numbers[from + column] * (1 - weight) + numbers[to + column] * weight
                }
            }
        }
    }

    /// Copies the first rows and columns of `part` to (`top`, `left`).
    fileprivate mutating func paste(
        _ part: Planes, top: Int, left: Int, height rows: Int, width columns: Int
    ) {
        let rows = min(rows, height - top)
        let columns = min(columns, width - left)
        for channel in 0..<channels {
            for row in 0..<rows {
                let from = (channel * part.height + row) * part.width
                let to = (channel * height + top + row) * width + left
                for column in 0..<columns {
                    numbers[to + column] = part.numbers[from + column]
                }
            }
        }
    }
}
