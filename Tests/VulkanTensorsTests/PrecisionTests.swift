// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

/// Products, attention and convolutions in int8 and in f16 with scales.
@Suite("Reduced precisions on a Vulkan device", .needsVulkan)
struct PrecisionTests {
    typealias Computation = OperationTests.Computation

    private static func numbers(_ count: Int, seed: UInt64) -> [Float] {
        OperationTests.numbers(count, seed: seed)
    }

    /// Kernels without matrix instructions, and with fragments of several shapes.
    static let kernels: [MatrixUse] =
        TestDevice.isSoftware
        ? [
            .never, .fragments(int8: shape(16, 16, 32, .s8), f16: shape(16, 16, 16, .f16)),
            .fragments(int8: shape(16, 8, 32, .s8), f16: shape(16, 8, 16, .f16)),
            .fragments(int8: shape(8, 8, 16, .s8), f16: shape(8, 8, 16, .f16)),
        ] : [.never, .automatic]

    private static func shape(
        _ m: Int, _ n: Int, _ k: Int, _ element: MatrixShape.Element
    ) -> MatrixShape {
        let sum = element == .s8 ? MatrixShape.Element.s32 : .f32
        return MatrixShape(m: m, n: n, k: k, a: element, b: element, c: sum, result: sum)
    }

    /// Returns the largest difference of a precision from the CPU's f32, relative to the largest magnitude, over
    /// all kernels.
    private func error(_ computation: some Computation, _ precision: Precision) throws -> Float {
        let want = computation(try CPUBackend(precision: .f32, threads: 2))
        var worst: Float = 0
        for kernels in Self.kernels {
            let device = try TestDevice.backend(precision: precision, matrices: kernels)
            let got = computation(device)
            if let failure = device.failure { throw failure }
            #expect(got.count == want.count)
            for (x, y) in zip(got, want) {
                // A number that is not finite makes every comparison false.
                let difference = abs(x - y)
                if difference > worst || difference.isNaN { worst = difference }
            }
        }
        return worst / max(want.map(abs).max() ?? 0, 1e-3)
    }

    struct Product: Computation {
        let rows, depth, columns: Int
        var scale: Float = 1

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let weights = backend.makeWeights(
                MatrixSource(
                    [StoredRows(numbers(columns * depth, seed: 1), rows: columns, depth: depth)]),
                precision: backend.precision)
            let a = backend.upload(
                numbers(rows * depth, seed: 3).map { $0 * scale }, rows: rows, columns: depth)
            return backend.download(
                backend.product(
                    backend.operand(a, precision: backend.precision), weights, adding: nil))
        }
    }

    private static let sizes = [
        (1, 1, 1), (3, 5, 7), (13, 33, 65), (97, 130, 31), (200, 300, 100), (64, 97, 290),
        (130, 1061, 47), (5, 3840, 33),
    ]

    @Test("int8 products are those of the CPU, bit for bit", arguments: sizes)
    func int8Product(_ size: (Int, Int, Int)) throws {
        let product = Product(rows: size.0, depth: size.1, columns: size.2)
        let want = product(try CPUBackend(precision: .int8, threads: 2))
        for kernels in Self.kernels {
            let got = product(try TestDevice.backend(precision: .int8, matrices: kernels))
            let different = zip(got, want).count { $0.bitPattern != $1.bitPattern }
            #expect(different == 0, "\(different) of \(want.count) with \(kernels)")
        }
    }

    @Test("f16 products, also of rows far beyond the range of f16", arguments: sizes)
    func halfProduct(_ size: (Int, Int, Int)) throws {
        for scale: Float in [1, 5e6, 1e-12] {
            let product = Product(rows: size.0, depth: size.1, columns: size.2, scale: scale)
            #expect(try error(product, .bf16) <= 5e-4, "\(scale)")
        }
    }

    struct SwiGLU: Computation {
        let width: Int

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let depth = 96
            let precision = backend.precision
            let parts = [5, 6].map {
                StoredRows(numbers(width * depth, seed: $0), rows: width, depth: depth)
            }
            let weights = backend.makeWeights(
                MatrixSource(parts, layout: .gated), precision: precision)
            let down = backend.makeWeights(
                MatrixSource([StoredRows(numbers(40 * width, seed: 8), rows: 40, depth: width)]),
                precision: precision)
            let a = backend.upload(numbers(30 * depth, seed: 7), rows: 30, columns: depth)
            let y = backend.swiglu(backend.operand(a, precision: precision), weights)
            return backend.download(backend.product(y, down, adding: nil))
        }
    }

    @Test("SwiGLU and the product after it", arguments: [50, 170, 512])
    func swiglu(_ width: Int) throws {
        let (half, int8) = (
            try error(SwiGLU(width: width), .bf16), try error(SwiGLU(width: width), .int8)
        )
        #expect(half <= 1e-3)
        #expect(int8 <= 3e-2)
    }

    struct Attention: Computation {
        let heads, keyValueHeads, headDim: Int
        let isCausal: Bool
        let lengths: [Int]
        /// Factor of the values.
        var scale: Float = 1

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let columns = (heads + 2 * keyValueHeads) * headDim
            let segments = Segments(lengths: lengths)
            var rows = numbers(segments.rows * columns, seed: 12)
            for index in rows.indices where index % columns >= (heads + keyValueHeads) * headDim {
                rows[index] *= scale
            }
            let qkv = backend.upload(rows, rows: segments.rows, columns: columns)
            let shape = AttentionShape(
                heads: heads, keyValueHeads: keyValueHeads, headDim: headDim, causal: isCausal,
                precision: backend.precision == .f32 ? .f32 : .bf16)
            let y = backend.attention(qkv, shape, segments: segments)
            let wide = heads * headDim
            var unit = [Float](repeating: 0, count: wide * wide)
            for index in 0..<wide { unit[index * wide + index] = 1 }
            return backend.download(
                backend.product(
                    y,
                    backend.makeWeights(
                        MatrixSource([StoredRows(unit, rows: wide, depth: wide)]),
                        precision: shape.precision), adding: nil))
        }
    }

    @Test(
        "attention in f16 over ragged sequences, with large values too",
        arguments: [
            Attention(heads: 2, keyValueHeads: 2, headDim: 32, isCausal: false, lengths: [5, 130]),
            Attention(
                heads: 4, keyValueHeads: 2, headDim: 64, isCausal: true, lengths: [1, 70, 49]),
            Attention(heads: 2, keyValueHeads: 1, headDim: 128, isCausal: false, lengths: [77]),
            Attention(heads: 3, keyValueHeads: 3, headDim: 96, isCausal: false, lengths: [33, 64]),
            Attention(heads: 2, keyValueHeads: 2, headDim: 24, isCausal: true, lengths: [40]),
            Attention(
                heads: 2, keyValueHeads: 2, headDim: 32, isCausal: false, lengths: [50], scale: 1e6),
        ])
    func attention(_ item: Attention) throws {
        // The result is rounded to an operand, and with it as the sums of the next product.
        let found = try error(item, .bf16)
        #expect(found <= 8e-4)
    }

    struct Convolution: Computation {
        let isNormed: Bool
        let scale: Float

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let (channels, columns) = (40, 24)
            let weights = backend.makeWeights(
                MatrixSource(
                    [
                        StoredRows(
                            numbers(columns * channels * 9, seed: 8), rows: columns,
                            depth: channels, taps: 9)
                    ], bias: numbers(columns, seed: 9)), precision: backend.sensitivePrecision)
            let x = backend.upload(
                numbers(15 * 21 * channels, seed: 10).map { $0 * scale }, rows: 15 * 21,
                columns: channels)
            return backend.download(
                backend.convolve(
                    x,
                    norm: isNormed
                        ? OperationTests.groupNorm(channels, groups: 4, backend) : nil, weights,
                    geometry: ConvolutionGeometry(height: 15, width: 21), adding: nil,
                    reusing: false))
        }
    }

    @Test("convolutions in f16, with and without norm", arguments: [Float(1), 1e6])
    func convolution(_ scale: Float) throws {
        for isNormed in [false, true] {
            #expect(try error(Convolution(isNormed: isNormed, scale: scale), .bf16) <= 1e-3)
        }
    }

    @Test("a row has the same bytes wherever it is in a batch", arguments: Precision.allCases)
    func places(_ precision: Precision) throws {
        for kernels in Self.kernels { try compare(precision, kernels) }
    }

    private func compare(_ precision: Precision, _ kernels: MatrixUse) throws {
        let device = try TestDevice.backend(precision: precision, matrices: kernels)
        let (depth, columns) = (300, 90)
        let weights = device.makeWeights(
            MatrixSource(
                [StoredRows(Self.numbers(columns * depth, seed: 1), rows: columns, depth: depth)]),
            precision: precision)
        // Alone they are a product of few rows, which has other tiles.
        let count = 30
        let own = Self.numbers(count * depth, seed: 2)
        func run(before: Int, after: Int) -> [UInt32] {
            let rows =
                Self.numbers(before * depth, seed: 3).prefix(before * depth) + own
                + Self.numbers(after * depth, seed: 4).prefix(after * depth)
            let a = device.upload(Array(rows), rows: before + count + after, columns: depth)
            let y = device.download(
                device.product(device.operand(a, precision: precision), weights, adding: nil))
            return y[(before * columns)..<((before + count) * columns)].map(\.bitPattern)
        }
        let alone = run(before: 0, after: 0)
        for (before, after) in [(1, 0), (37, 5), (64, 64), (130, 1)] {
            #expect(run(before: before, after: after) == alone)
        }
    }
}
