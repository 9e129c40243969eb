// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// A comparison of the kernels with matrix instructions with those without, since some drivers claim
/// instructions that they compute wrongly, or do not compile.
struct MatrixCheck {
    private let backend: VulkanBackend
    /// Rows of products, for kernels of each height.
    private static let rows = [20, 70]

    init(_ backend: VulkanBackend) { self.backend = backend }

    /// Returns what is wrong, as a clause of a sentence; `nil` if nothing is, or no kernel has them.
    func fault() -> String? {
        for precision in [Precision.int8, .bf16] where usesMatrices(precision) {
            let name = precision == .bf16 ? "f16" : "int8"
            // int8 sums are exact.
            for rows in Self.rows {
                guard agrees(precision == .int8 ? 0 : 2e-3, { product(rows, precision) }) else {
                    return "products in \(name) with matrix instructions are wrong"
                }
                guard agrees(precision == .int8 ? 1e-5 : 2e-3, { swiglu(rows, precision) }) else {
                    return "SwiGLU products in \(name) with matrix instructions are wrong"
                }
            }
        }
        guard usesMatrices(.bf16) else { return nil }
        guard agrees(2e-3, { convolution() }) else {
            return "convolutions with matrix instructions are wrong"
        }
        for headDim in [32, 64, 128] where !agrees(2e-3, { attention(headDim) }) {
            return "attention of heads of \(headDim) features with matrix instructions is wrong"
        }
        return nil
    }

    private func usesMatrices(_ precision: Precision) -> Bool {
        MatrixTiling.Height.allCases.contains { height in
            ProductKernel(
                ProductKernel.Choice(form: .plain, precision: precision, height: height),
                on: backend.device.facts, backend.matrices
            ).usesMatrices
        }
    }

    /// Whether both kinds of kernels compute the same, but for a tolerance relative to the largest magnitude.
    private func agrees(_ tolerance: Float, _ body: () -> [Float]) -> Bool {
        let use = backend.matrices
        defer { backend.matrices = use }
        let got = body()
        backend.matrices = .never
        let want = body()
        let largest = want.reduce(0) { max($0, abs($1)) }
        return largest > 0 && zip(got, want).allSatisfy { abs($0 - $1) <= tolerance * largest }
    }

    private func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var generator = TorchGenerator(seed: seed)
        return Array(generator.normals(max(16, count)).prefix(count))
    }

    private func operand(_ rows: Int, _ precision: Precision) -> VulkanOperand {
        backend.operand(
            backend.upload(numbers(rows * 96, seed: 1), rows: rows, columns: 96),
            precision: precision)
    }

    private func product(_ rows: Int, _ precision: Precision) -> [Float] {
        let weights = backend.makeWeights(
            MatrixSource([StoredRows(numbers(66 * 96, seed: 2), rows: 66, depth: 96)]),
            precision: precision)
        return backend.download(backend.product(operand(rows, precision), weights, adding: nil))
    }

    private func swiglu(_ rows: Int, _ precision: Precision) -> [Float] {
        let weights = backend.makeWeights(
            MatrixSource(
                [3, 4].map { StoredRows(numbers(64 * 96, seed: $0), rows: 64, depth: 96) },
                layout: .gated), precision: precision)
        return backend.download(backend.gated(operand(rows, precision), weights, []).values)
    }

    private func convolution() -> [Float] {
        let weights = backend.makeWeights(
            MatrixSource([StoredRows(numbers(40 * 32 * 9, seed: 5), rows: 40, depth: 32, taps: 9)]),
            precision: .bf16)
        let image = backend.upload(numbers(9 * 11 * 32, seed: 6), rows: 99, columns: 32)
        return backend.download(
            backend.convolve(
                image, norm: nil, weights, geometry: ConvolutionGeometry(height: 9, width: 11),
                adding: nil, reusing: false))
    }

    private func attention(_ headDim: Int) -> [Float] {
        let columns = 3 * headDim
        let shape = AttentionShape(
            heads: 1, keyValueHeads: 1, headDim: headDim, causal: false, precision: .bf16)
        let segments = Segments(lengths: [45, 20])
        return backend.download(
            backend.attend(
                backend.upload(numbers(65 * columns, seed: 7), rows: 65, columns: columns), shape,
                segments: segments, queries: segments
            ).values)
    }
}
