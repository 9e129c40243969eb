// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

extension KernelTests {
    struct AttentionCase: Sendable, CustomTestStringConvertible {
        let heads: Int
        let keyValueHeads: Int
        let headDim: Int
        let causal: Bool
        let lengths: [Int]
        var testDescription: String { "\(heads)/\(keyValueHeads) x \(headDim), \(lengths)" }
    }

    @Test(
        "attention over ragged sequences", arguments: Variant.all,
        [
            AttentionCase(
                heads: 1, keyValueHeads: 1, headDim: 2, causal: false, lengths: [1]),
            AttentionCase(
                heads: 3, keyValueHeads: 3, headDim: 10, causal: false, lengths: [5, 33, 64]),
            AttentionCase(
                heads: 4, keyValueHeads: 2, headDim: 16, causal: true, lengths: [1, 70, 49]),
            AttentionCase(
                heads: 2, keyValueHeads: 2, headDim: 32, causal: false, lengths: [513, 1100]),
            AttentionCase(
                heads: 2, keyValueHeads: 1, headDim: 24, causal: true, lengths: [1030]),
            AttentionCase(
                heads: 1, keyValueHeads: 1, headDim: 96, causal: false, lengths: [130]),
            AttentionCase(
                heads: 2, keyValueHeads: 2, headDim: 128, causal: false, lengths: [480, 481]),
            AttentionCase(
                heads: 4, keyValueHeads: 1, headDim: 64, causal: true, lengths: [40, 3, 200]),
            AttentionCase(
                heads: 1, keyValueHeads: 1, headDim: 33, causal: false, lengths: [31, 32, 33]),
        ])
    func attention(_ variant: Variant, _ item: AttentionCase) throws {
        let pair = try Pair(variant)
        let segments = Segments(lengths: item.lengths)
        let columns = (item.heads + 2 * item.keyValueHeads) * item.headDim
        let shape = AttentionShape(
            heads: item.heads, keyValueHeads: item.keyValueHeads, headDim: item.headDim,
            causal: item.causal, precision: variant.precision)
        // bf16 weights are rounded once more than the reference's; with int8 the reference uses f32.
        let scale: Float = variant.precision == .f32 ? 20 : variant.precision == .bf16 ? 1200 : 3000
        pair.compare(scale) { backend in
            let qkv = backend.upload(
                numbers(segments.rows * columns, seed: 12), rows: segments.rows,
                columns: columns)
            return read(backend.attention(qkv, shape, segments: segments), backend)
        }
    }

    @Test(
        "attention with the first tokens of each sequence as queries", arguments: Variant.all,
        [[0, 1, 64, 33], [5, 40, 31, 32]])
    func fewerQueries(_ variant: Variant, _ lengths: [Int]) throws {
        let segments = Segments(lengths: [5, 40, 64, 500])
        let queries = Segments(lengths: lengths)
        let (heads, headDim) = (3, 20)
        let columns = 3 * heads * headDim
        let shape = AttentionShape(
            heads: heads, keyValueHeads: heads, headDim: headDim, causal: false,
            precision: variant.precision)
        func run(_ backend: CPUBackend, _ queries: Segments) -> [Float] {
            let qkv = backend.upload(
                numbers(segments.rows * columns, seed: 30), rows: segments.rows, columns: columns)
            return read(
                backend.attention(qkv, shape, segments: segments, queries: queries), backend)
        }
        let pair = try Pair(variant)
        let scale: Float = variant.precision == .f32 ? 20 : variant.precision == .bf16 ? 1200 : 3000
        pair.compare(scale) { run($0, queries) }
        // Bit for bit the results with all tokens as queries.
        let width = heads * headDim
        let all = run(pair.fast, segments)
        let some = run(pair.fast, queries)
        for index in 0..<segments.count {
            let (from, to) = (segments.range(index).lowerBound, queries.range(index))
            let want = all[(from * width)..<((from + to.count) * width)]
            let got = some[(to.lowerBound * width)..<(to.upperBound * width)]
            #expect(got.map(\.bitPattern) == want.map(\.bitPattern), "sequence \(index)")
        }
    }

    // Not int8: its attention uses a precision that may differ from the reference's.
    @Test("attention with one score far above the others", arguments: Variant.convolving)
    func peakedAttention(_ variant: Variant) throws {
        let pair = try Pair(variant)
        let segments = Segments(lengths: [500])
        let shape = AttentionShape(
            heads: 1, keyValueHeads: 1, headDim: 32, causal: false, precision: variant.precision)
        // Scores of several hundred: rounding in f32 is 1e-5, which the exponential preserves.
        pair.compare(variant.precision == .bf16 ? 1200 : 200) { backend in
            var data = numbers(500 * 96, seed: 29)
            for row in 0..<500 { for column in 0..<32 { data[row * 96 + column] *= 60 } }
            let qkv = backend.upload(data, rows: 500, columns: 96)
            return read(backend.attention(qkv, shape, segments: segments), backend)
        }
    }
}
