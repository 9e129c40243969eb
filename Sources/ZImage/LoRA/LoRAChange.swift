// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// The change of a weight matrix `W` `[rows, depth]` by a LoRA at scale 1:
/// `W + gain * W + up · down + fullRank`, and `bias` is added to the layer's output.
struct LoRAChange: Sendable {
    /// A product of low rank.
    struct LowRank: Sendable {
        let rank: Int
        /// `[rank, depth]`.
        let down: [Float]
        /// `[rows, rank]`, with every factor of the format.
        var up: [Float]

        /// Whether two products with the factors cost less than one with the full matrix.
        func isCheaper(rows: Int, depth: Int) -> Bool { rank * (rows + depth) < rows * depth }
    }

    /// Stored weights that it changes, one below the other.
    let tensors: [String]
    let rows: Int
    let depth: Int
    var lowRank: LowRank?
    /// `[rows, depth]`.
    var fullRank: [Float]?
    /// One factor for each row.
    var gain: [Float]?
    var bias: [Float]?

    /// Returns the product of the factors, in f32.
    static func product<Device: Backend>(
        of factors: LowRank, rows: Int, depth: Int, adding sum: Device.Values? = nil,
        on device: Device
    ) -> Device.Values {
        // The right side of a product is stored as rows of outputs: transpose `down`.
        var transposed = [Float](repeating: 0, count: factors.down.count)
        for rank in 0..<factors.rank {
            for column in 0..<depth {
                transposed[column * factors.rank + rank] = factors.down[rank * depth + column]
            }
        }
        let right = device.makeWeights(
            MatrixSource([StoredRows(transposed, rows: depth, depth: factors.rank)]),
            precision: .f32)
        let left = device.upload(factors.up, rows: rows, columns: factors.rank)
        return device.product(device.operand(left, precision: .f32), right, adding: sum)
    }

    /// Returns the change as a full matrix, without the term that needs `W`.
    func fullRankMatrix<Device: Backend>(on device: Device) -> [Float] {
        let added = fullRank.map { device.upload($0, rows: rows, columns: depth) }
        guard let lowRank else { return fullRank ?? [Float](repeating: 0, count: rows * depth) }
        return device.download(
            Self.product(of: lowRank, rows: rows, depth: depth, adding: added, on: device))
    }

    /// Applies the magnitudes of DoRA: `m * (W + change) / |W + change|`, norms of rows or of columns.
    ///
    /// By rows the rank stays low: a gain and a scaled `up`. By columns the change becomes full rank.
    mutating func decompose<Device: Backend>(
        magnitude: [Float], byRows: Bool, weights: [Float], on device: Device
    ) {
        let change = fullRankMatrix(on: device)
        var sums = [Double](repeating: 0, count: byRows ? rows : depth)
        for row in 0..<rows {
            for column in 0..<depth {
                let changed = Double(weights[row * depth + column] + change[row * depth + column])
                sums[byRows ? row : column] += changed * changed
            }
        }
        let scales = zip(magnitude, sums).map { magnitude, sum in
            sum > 0 ? Float(Double(magnitude) / sum.squareRoot()) : 0
        }
        if byRows {
            gain = scales.map { $0 - 1 }
            if var factors = lowRank {
                for row in 0..<rows {
                    for rank in 0..<factors.rank {
                        factors.up[row * factors.rank + rank] *= scales[row]
                    }
                }
                lowRank = factors
            }
            if var fullRank {
                for row in 0..<rows {
                    for column in 0..<depth { fullRank[row * depth + column] *= scales[row] }
                }
                self.fullRank = fullRank
            }
            return
        }
        lowRank = nil
        fullRank = (0..<(rows * depth)).map { index in
            let scale = scales[index % depth]
            return (weights[index] + change[index]) * scale - weights[index]
        }
    }

    /// Splits a low-rank change of several stacked weights of which each has ranks of its own: then
    /// each weight has its own change, and none multiplies zeros.
    func split(rows counts: [Int]) -> [LoRAChange] {
        guard counts.count > 1, let factors = lowRank, fullRank == nil, gain == nil, bias == nil
        else {
            return [self]
        }
        var own: [[Int]] = []
        var start = 0
        for count in counts {
            own.append(
                (0..<factors.rank).filter { rank in
                    (start..<(start + count)).contains { factors.up[$0 * factors.rank + rank] != 0 }
                })
            start += count
        }
        guard own.reduce(0, { $0 + $1.count }) <= factors.rank else { return [self] }
        start = 0
        var changes: [LoRAChange] = []
        for (index, count) in counts.enumerated() {
            defer { start += count }
            let ranks = own[index]
            if ranks.isEmpty { continue }
            let down = ranks.flatMap { factors.down[($0 * depth)..<(($0 + 1) * depth)] }
            let up = (start..<(start + count)).flatMap { row in
                ranks.map { factors.up[row * factors.rank + $0] }
            }
            changes.append(
                LoRAChange(
                    tensors: [tensors[index]], rows: count, depth: depth,
                    lowRank: LowRank(rank: ranks.count, down: down, up: up)))
        }
        return changes
    }
}
