// Part of Inkstone. Licence: see LICENSE.

/// Weighted linear least squares for a handful of parameters.
package enum LeastSquares {
    /// The result of a fit.
    package struct Fit: Sendable {
        /// One parameter for each column.
        package var parameters: [Double]
        /// The inverse of the normal matrix, row-major; its product with the residual variance is
        /// the covariance.
        package var inverse: [[Double]]
    }

    /// Minimises the weighted squares of `rows * parameters - targets`; `nil` for a singular system.
    ///
    /// - Shapes: `rows` is `[n, p]`, `targets` and `weights` are `[n]`.
    package static func solve(
        rows: [[Double]], targets: [Double], weights: [Double]? = nil
    ) -> Fit? {
        guard let columns = rows.first?.count, rows.count >= columns else { return nil }
        var normal = [[Double]](
            repeating: [Double](repeating: 0, count: columns), count: columns)
        var right = [Double](repeating: 0, count: columns)
        for (index, row) in rows.enumerated() {
            let weight = weights?[index] ?? 1
            for i in 0..<columns {
                right[i] += weight * row[i] * targets[index]
                for j in 0..<columns { normal[i][j] += weight * row[i] * row[j] }
            }
        }
        guard let inverse = inverse(of: normal) else { return nil }
        let parameters = inverse.map { row in zip(row, right).reduce(0) { $0 + $1.0 * $1.1 } }
        return Fit(parameters: parameters, inverse: inverse)
    }

    /// The inverse of a small symmetric matrix, by Gauss and Jordan with scaling and pivots.
    private static func inverse(of matrix: [[Double]]) -> [[Double]]? {
        let size = matrix.count
        // Columns such as N and N^2 differ by orders of magnitude: bring the diagonal to 1 first.
        let scale = matrix.indices.map { matrix[$0][$0] > 0 ? 1 / matrix[$0][$0].squareRoot() : 0 }
        guard scale.allSatisfy({ $0 > 0 && $0.isFinite }) else { return nil }
        var work = matrix.indices.map { i in
            matrix.indices.map { j in matrix[i][j] * scale[i] * scale[j] }
                + matrix.indices.map { j in i == j ? 1.0 : 0.0 }
        }
        for column in 0..<size {
            let pivot = (column..<size).max { abs(work[$0][column]) < abs(work[$1][column]) }
            guard let pivot, abs(work[pivot][column]) > 1e-12 else { return nil }
            work.swapAt(column, pivot)
            let divisor = work[column][column]
            for j in 0..<(2 * size) { work[column][j] /= divisor }
            for i in 0..<size where i != column {
                let factor = work[i][column]
                for j in 0..<(2 * size) { work[i][j] -= factor * work[column][j] }
            }
        }
        return matrix.indices.map { i in
            matrix.indices.map { j in work[i][size + j] * scale[i] * scale[j] }
        }
    }
}
