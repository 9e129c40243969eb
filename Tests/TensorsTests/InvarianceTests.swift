// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

/// Results do not depend on the number of threads or the rest of the batch, bit for bit.
@Suite("Results are bit-identical")
struct InvarianceTests {
    private func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var generator = TorchGenerator(seed: seed)
        return generator.normals(max(16, count))
    }

    /// Runs a norm, products and attention over sequences of the given lengths.
    private func run(
        _ backend: CPUBackend, _ data: [Float], lengths: [Int]
    ) -> [Float] {
        let (heads, headDim) = (3, 20)
        let dim = heads * headDim
        let segments = Segments(lengths: lengths)
        let precision = backend.precision
        let weights = backend.makeWeights(
            MatrixSource([
                StoredRows(
                    Array(numbers(3 * dim * dim, seed: 1).prefix(3 * dim * dim)), rows: 3 * dim,
                    depth: dim)
            ]), precision: precision)
        let out = backend.makeWeights(
            MatrixSource([
                StoredRows(
                    Array(numbers(dim * dim, seed: 2).prefix(dim * dim)), rows: dim, depth: dim)
            ]), precision: precision)
        let x = backend.upload(data, rows: segments.rows, columns: dim)
        let h = backend.norm(
            x, kind: .rms, weight: nil, epsilon: 1e-5, scale: nil, segments: segments,
            precision: precision)
        let qkv = backend.product(h, weights, adding: nil)
        let attentionOutput = backend.attention(
            qkv,
            AttentionShape(
                heads: heads, keyValueHeads: heads, headDim: headDim, causal: false,
                precision: precision), segments: segments)
        return backend.download(backend.product(attentionOutput, out, adding: x))
    }

    @Test(
        "for any number of threads", arguments: KernelTests.Variant.all,
        [[130, 7, 601], [64], [3, 1]])
    func threads(_ variant: KernelTests.Variant, _ lengths: [Int]) throws {
        let count = lengths.reduce(0, +) * 60
        let data = Array(numbers(count, seed: 3).prefix(count))
        let alone = run(try variant.backend(threads: 1), data, lengths: lengths)
        for threads in [2, 3, 7] {
            let together = run(try variant.backend(threads: threads), data, lengths: lengths)
            #expect(alone.map(\.bitPattern) == together.map(\.bitPattern))
        }
    }

    @Test("alone and at any position in a batch", arguments: KernelTests.Variant.all)
    func batch(_ variant: KernelTests.Variant) throws {
        let backend = try variant.backend()
        let lengths = [45, 1, 530, 96]
        let data = Array(numbers(672 * 60, seed: 4).prefix(672 * 60))
        let batch = run(backend, data, lengths: lengths)
        let segments = Segments(lengths: lengths)
        for index in lengths.indices {
            let range = segments.range(index)
            let own = (range.lowerBound * 60)..<(range.upperBound * 60)
            let alone = run(backend, Array(data[own]), lengths: [lengths[index]])
            #expect(alone.map(\.bitPattern) == batch[own].map(\.bitPattern))
        }
    }

    // Blocks of many rows take another way through memory than a single row.
    @Test("a row of a deep product, alone and among many", arguments: KernelTests.Variant.all)
    func rows(_ variant: KernelTests.Variant) throws {
        let backend = try variant.backend()
        let (rows, depth, columns) = (130, 1061, 47)
        let weights = backend.makeWeights(
            MatrixSource([
                StoredRows(
                    Array(numbers(columns * depth, seed: 5).prefix(columns * depth)),
                    rows: columns, depth: depth)
            ]), precision: variant.precision)
        func product(_ rows: Int, of data: [Float]) -> [UInt32] {
            let values = backend.upload(data, rows: rows, columns: depth)
            let operand = backend.operand(values, precision: variant.precision)
            return backend.download(backend.product(operand, weights, adding: nil))
                .map(\.bitPattern)
        }
        let data = Array(numbers(rows * depth, seed: 6).prefix(rows * depth))
        let all = product(rows, of: data)
        for row in [0, 1, 63, 95, 96, 129] {
            let alone = product(1, of: Array(data[(row * depth)..<((row + 1) * depth)]))
            #expect(alone == Array(all[(row * columns)..<((row + 1) * columns)]), "row \(row)")
        }
    }
}
