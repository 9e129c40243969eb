// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// A comparison of the kernels with matrix instructions with sums on the host, since some drivers claim
/// instructions that they compute wrongly.
struct MatrixCheck {
    private let backend: VulkanBackend
    private static let (rows, columns, depth) = (70, 66, 96)

    init(_ backend: VulkanBackend) { self.backend = backend }

    /// Returns what is wrong, as a clause of a sentence; `nil` if nothing is.
    ///
    /// Factors are small integers, whose sums are exact in every precision.
    func fault() -> String? {
        for precision in [Precision.int8, .bf16] where !isRight(precision) {
            return
                "products in \(precision == .bf16 ? "f16" : "int8") with matrix instructions are wrong"
        }
        return attends() ? nil : "attention with matrix instructions is wrong"
    }

    /// Returns a number in -4...4 for a place.
    private static func number(_ row: Int, _ column: Int) -> Float {
        Float((row &* 7 &+ column &* 11 &+ row &* column) % 9 - 4)
    }

    private func isRight(_ precision: Precision) -> Bool {
        let (rows, columns, depth) = (Self.rows, Self.columns, Self.depth)
        let a = (0..<rows * depth).map { Self.number($0 / depth, $0 % depth) }
        let b = (0..<columns * depth).map { Self.number($0 / depth + 3, $0 % depth) }
        let weights = backend.makeWeights(
            MatrixSource([StoredRows(b, rows: columns, depth: depth)]), precision: precision)
        let operand = backend.operand(
            backend.upload(a, rows: rows, columns: depth), precision: precision)
        let got = backend.download(backend.product(operand, weights, adding: nil))
        // Rotation and rounding to int8 leave an error, which a wrong fragment exceeds by far.
        let tolerance: Float = precision == .int8 ? 60 : 0.5
        for row in 0..<rows {
            for column in 0..<columns {
                var sum: Float = 0
                for k in 0..<depth { sum += a[row * depth + k] * b[column * depth + k] }
                guard abs(got[row * columns + column] - sum) <= tolerance else { return false }
            }
        }
        return true
    }

    /// Whether attention to equal keys is the mean of the values.
    private func attends() -> Bool {
        let (tokens, width) = (45, 64)
        var qkv = [Float](repeating: 1, count: tokens * 3 * width)
        var means = [Float](repeating: 0, count: width)
        for token in 0..<tokens {
            for feature in 0..<width {
                let value = Self.number(token, feature)
                qkv[token * 3 * width + 2 * width + feature] = value
                means[feature] += value / Float(tokens)
            }
        }
        let shape = AttentionShape(
            heads: 1, keyValueHeads: 1, headDim: width, causal: false, precision: .bf16)
        let attended = backend.attended(
            backend.upload(qkv, rows: tokens, columns: 3 * width), shape,
            segments: Segments(lengths: [tokens]), queries: Segments(lengths: [tokens]))
        let got = backend.download(attended)
        return (0..<tokens * width).allSatisfy { abs(got[$0] - means[$0 % width]) <= 0.01 }
    }
}
