// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// A change of one weight matrix: the sum of products of thin matrices.
package struct LowRankDelta: Sendable {
    /// One adapter's share: `factor * up · down`.
    struct Term: Sendable {
        /// `[rows, rank]`.
        let up: [Float]
        /// `[rank, depth]`.
        let down: [Float]
        let rank: Int
        let factor: Float
    }

    var terms: [Term]

    /// The changed matrix `[rows, depth]`, computed in f32.
    func merged<Device: Backend>(
        into weights: [Float], rows: Int, depth: Int, on device: Device
    ) -> [Float] {
        var sum = device.upload(weights, rows: rows, columns: depth)
        for term in terms {
            // The product wants its right side as rows of outputs: transpose `down`.
            var transposed = [Float](repeating: 0, count: term.down.count)
            for rank in 0..<term.rank {
                for column in 0..<depth {
                    transposed[column * term.rank + rank] = term.down[rank * depth + column]
                }
            }
            let right = device.makeWeights(
                MatrixSource([StoredRows(transposed, rows: depth, depth: term.rank)]),
                precision: .f32)
            let left = device.upload(
                term.up.map { $0 * term.factor }, rows: rows, columns: term.rank)
            sum = device.product(device.operand(left, precision: .f32), right, adding: sum)
        }
        return device.download(sum)
    }
}
