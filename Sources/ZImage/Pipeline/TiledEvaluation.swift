// Part of Inkstone. Licence: see LICENSE.

package import Parameters

/// An evaluation of latents in overlapping tiles, one at a time, whose outputs are blended.
///
/// Each tile is evaluated as an image of its own, with the positions of its size. Where tiles overlap, the outputs are averaged
/// with weights that fall linearly towards the tiles' edges, in the order of the tiles, so that the result depends on
/// nothing else. The sampler sees one output of the whole size.
///
/// - Source: MultiDiffusion (arXiv 2302.08113), section 4.1, equation 5, with weights.
package struct TiledEvaluation: Sendable {
    /// The tiles of one direction.
    private struct Axis: Sendable {
        /// First latent row or column of each tile.
        let starts: [Int]
        /// Rows or columns of each.
        let length: Int
        /// Those of the whole.
        let total: Int
        /// Weights of each tile's rows or columns; those of all tiles at one place add up to 1.
        let weights: [[Float]]

        init(_ starts: [Int], length: Int, total: Int, overlap: Int) {
            self.starts = starts
            self.length = length
            self.total = total
            // From each edge over the overlap, at least over one row.
            let ramp = (0..<length).map {
                Double(min($0 + 1, length - $0, max(1, overlap)))
            }
            var sums = [Double](repeating: 0, count: total)
            for start in starts {
                for index in ramp.indices { sums[start + index] += ramp[index] }
            }
            weights = starts.map { start in
                ramp.indices.map { Float(ramp[$0] / sums[start + $0]) }
            }
        }
    }

    private let rows: Axis
    private let columns: Axis
    private let channels: Int
    /// The tile to evaluate next.
    package private(set) var index = 0
    private var blended: [Float] = []

    /// Divides latents of `scale` pixels along a side of each.
    package init(_ grid: TileGrid, of size: PixelSize, overlap: Int, channels: Int, scale: Int) {
        rows = Axis(
            grid.rows.map { $0 / scale }, length: grid.tile.height / scale,
            total: size.height / scale, overlap: overlap / scale)
        columns = Axis(
            grid.columns.map { $0 / scale }, length: grid.tile.width / scale,
            total: size.width / scale, overlap: overlap / scale)
        self.channels = channels
    }

    /// Number of tiles.
    package var count: Int { rows.starts.count * columns.starts.count }
    /// Latent rows of a tile.
    var height: Int { rows.length }
    /// Latent columns of a tile.
    var width: Int { columns.length }

    /// The part of planes under tile `index`.
    package func part(_ index: Int, of planes: Planes) -> Planes {
        planes.crop(
            top: rows.starts[index / columns.starts.count],
            left: columns.starts[index % columns.starts.count], height: height, width: width)
    }

    /// Adds the output for the next tile.
    ///
    /// - Returns: the output for the whole after its last tile, else `nil`.
    package mutating func add(_ output: [Float]) -> [Float]? {
        let (row, column) = (index / columns.starts.count, index % columns.starts.count)
        if index == 0 {
            blended = [Float](repeating: 0, count: channels * rows.total * columns.total)
        }
        var from = 0
        for channel in 0..<channels {
            for y in 0..<height {
                let weight = rows.weights[row][y]
                let to =
                    (channel * rows.total + rows.starts[row] + y) * columns.total
                    + columns.starts[column]
                for x in 0..<width {
                    blended[to + x] += weight * columns.weights[column][x] * output[from]
                    from += 1
                }
            }
        }
        index += 1
        guard index == count else { return nil }
        index = 0
        defer { blended = [] }
        return blended
    }
}
