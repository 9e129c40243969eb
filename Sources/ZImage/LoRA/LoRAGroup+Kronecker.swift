// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

extension LoRAGroup {
    /// A matrix as `a` `[rows, rank]` times `b` `[rank, depth]`; one of them is the unit matrix if the
    /// matrix is stored at full rank.
    private struct Factors {
        let rows: Int
        let depth: Int
        let rank: Int
        let a: [Float]
        let b: [Float]

        var product: [Float] {
            var out = [Float](repeating: 0, count: rows * depth)
            for row in 0..<rows {
                for k in 0..<rank where a[row * rank + k] != 0 {
                    for column in 0..<depth {
                        out[row * depth + column] += a[row * rank + k] * b[k * depth + column]
                    }
                }
            }
            return out
        }
    }

    private func factors(
        _ full: LoRAKey.Role, _ a: LoRAKey.Role, _ b: LoRAKey.Role
    ) throws -> Factors {
        func unit(_ size: Int) -> [Float] {
            (0..<(size * size)).map { $0 % (size + 1) == 0 ? 1 : 0 }
        }
        if let shape = tensors[full]?.shape {
            let (rows, depth) = (shape[0], shape[1])
            let own = try numbers(full)
            return rows <= depth
                ? Factors(rows: rows, depth: depth, rank: rows, a: unit(rows), b: own)
                : Factors(rows: rows, depth: depth, rank: depth, a: own, b: unit(depth))
        }
        let shapes = (tensors[a]?.shape ?? [0, 0], tensors[b]?.shape ?? [0, 0])
        return Factors(
            rows: shapes.0[0], depth: shapes.1[1], rank: shapes.0[1], a: try numbers(a),
            b: try numbers(b))
    }

    /// Returns kron(A1 · B1, A2 · B2) as kron(A1, A2) · kron(B1, B2) if that is cheaper, else at full
    /// rank.
    func kronecker(_ ratio: Float) throws -> (
        lowRank: LoRAChange.LowRank?, fullRank: [Float]?
    ) {
        let first = try factors(.kron1, .kron1A, .kron1B)
        let second = try factors(.kron2, .kron2A, .kron2B)
        let rank = first.rank * second.rank
        guard rank * (rows + depth) < rows * depth else {
            return (
                nil,
                Self.kron(
                    first.product, first.rows, second.product, second.rows, factor: ratio)
            )
        }
        return (
            .init(
                rank: rank,
                down: Self.kron(first.b, first.rank, second.b, second.rank, factor: 1),
                up: Self.kron(first.a, first.rows, second.a, second.rows, factor: ratio)), nil
        )
    }

    private static func kron(
        _ x: [Float], _ xRows: Int, _ y: [Float], _ yRows: Int, factor: Float
    ) -> [Float] {
        let (xColumns, yColumns) = (x.count / xRows, y.count / yRows)
        var out: [Float] = []
        out.reserveCapacity(x.count * y.count)
        for i in 0..<xRows {
            for k in 0..<yRows {
                for j in 0..<xColumns {
                    let left = x[i * xColumns + j] * factor
                    for l in 0..<yColumns { out.append(left * y[k * yColumns + l]) }
                }
            }
        }
        return out
    }
}
