// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// What a LoRA at strength 1 does to a weight matrix `W` `[rows, depth]`:
/// `W + gain * W + up · down + dense`, and `bias` is added to the layer's output.
struct LoRAChange: Sendable {
    /// A product of thin matrices.
    struct Thin: Sendable {
        let rank: Int
        /// `[rank, depth]`.
        let down: [Float]
        /// `[rows, rank]`, with every factor of the format.
        var up: [Float]

        /// Whether two products with thin matrices cost less than one with a whole one.
        func pays(rows: Int, depth: Int) -> Bool { rank * (rows + depth) < rows * depth }
    }

    /// Stored weights that it changes, one below the other.
    let tensors: [String]
    let rows: Int
    let depth: Int
    var thin: Thin?
    var dense: [Float]?
    /// One factor a row.
    var gain: [Float]?
    var bias: [Float]?

    /// The product of thin matrices as a whole matrix, in f32.
    static func product<Device: Backend>(
        of thin: Thin, rows: Int, depth: Int, adding sum: Device.Values? = nil, on device: Device
    ) -> Device.Values {
        // The product wants its right side as rows of outputs: transpose `down`.
        var transposed = [Float](repeating: 0, count: thin.down.count)
        for rank in 0..<thin.rank {
            for column in 0..<depth {
                transposed[column * thin.rank + rank] = thin.down[rank * depth + column]
            }
        }
        let right = device.makeWeights(
            MatrixSource([StoredRows(transposed, rows: depth, depth: thin.rank)]),
            precision: .f32)
        let left = device.upload(thin.up, rows: rows, columns: thin.rank)
        return device.product(device.operand(left, precision: .f32), right, adding: sum)
    }

    /// The change without the share that needs `W`, as a whole matrix.
    func whole<Device: Backend>(on device: Device) -> [Float] {
        let added = dense.map { device.upload($0, rows: rows, columns: depth) }
        guard let thin else { return dense ?? [Float](repeating: 0, count: rows * depth) }
        return device.download(
            Self.product(of: thin, rows: rows, depth: depth, adding: added, on: device))
    }

    /// The weights of DoRA: `m * (W + change) / |W + change|`, norms of rows or of columns.
    ///
    /// By rows this stays thin: a gain and a scaled `up`. By columns it is a whole matrix.
    mutating func decompose<Device: Backend>(
        magnitude: [Float], byRows: Bool, weights: [Float], on device: Device
    ) {
        let change = whole(on: device)
        var squares = [Double](repeating: 0, count: byRows ? rows : depth)
        for row in 0..<rows {
            for column in 0..<depth {
                let sum = Double(weights[row * depth + column] + change[row * depth + column])
                squares[byRows ? row : column] += sum * sum
            }
        }
        let factors = zip(magnitude, squares).map { magnitude, square in
            square > 0 ? Float(Double(magnitude) / square.squareRoot()) : 0
        }
        if byRows {
            gain = factors.map { $0 - 1 }
            if var thin {
                for row in 0..<rows {
                    for rank in 0..<thin.rank { thin.up[row * thin.rank + rank] *= factors[row] }
                }
                self.thin = thin
            }
            if var dense {
                for row in 0..<rows {
                    for column in 0..<depth { dense[row * depth + column] *= factors[row] }
                }
                self.dense = dense
            }
            return
        }
        thin = nil
        dense = (0..<(rows * depth)).map { index in
            let factor = factors[index % depth]
            return (weights[index] + change[index]) * factor - weights[index]
        }
    }

    /// A thin change of several weights that lie one below the other, where each has ranks of its
    /// own: then every weight gets its own, and none multiplies zeros.
    func split(rows counts: [Int]) -> [LoRAChange] {
        guard counts.count > 1, let thin, dense == nil, gain == nil, bias == nil else {
            return [self]
        }
        var own: [[Int]] = []
        var start = 0
        for count in counts {
            own.append(
                (0..<thin.rank).filter { rank in
                    (start..<(start + count)).contains { thin.up[$0 * thin.rank + rank] != 0 }
                })
            start += count
        }
        guard own.reduce(0, { $0 + $1.count }) <= thin.rank else { return [self] }
        start = 0
        var changes: [LoRAChange] = []
        for (index, count) in counts.enumerated() {
            defer { start += count }
            let ranks = own[index]
            if ranks.isEmpty { continue }
            let down = ranks.flatMap { thin.down[($0 * depth)..<(($0 + 1) * depth)] }
            let up = (start..<(start + count)).flatMap { row in
                ranks.map { thin.up[row * thin.rank + $0] }
            }
            changes.append(
                LoRAChange(
                    tensors: [tensors[index]], rows: count, depth: depth,
                    thin: Thin(rank: ranks.count, down: down, up: up)))
        }
        return changes
    }
}
