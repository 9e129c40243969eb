// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

/// NaN where no number belongs: in memory that was never written, and in other sequences.
@Suite("NaN in padding does not reach results", .needsVulkan)
struct PaddingTests {
    typealias Computation = OperationTests.Computation

    /// A norm and the product of its rows, both of odd widths.
    struct NormedProduct: Computation {
        let dim: Int

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let rows = OperationTests.numbers(24 * dim, seed: 13)
            let normed = backend.norm(
                backend.upload(rows, rows: 24, columns: dim), kind: .rms, weight: nil,
                epsilon: 1e-5, scale: nil, segments: Segments(lengths: [24]),
                precision: backend.precision)
            let weights = backend.makeWeights(
                MatrixSource(
                    [StoredRows(OperationTests.numbers(41 * dim, seed: 14), rows: 41, depth: dim)]
                ),
                precision: backend.precision)
            return backend.download(backend.product(normed, weights, adding: nil))
        }
    }

    /// Every operation with rows, columns, keys, pixels or channels that fill no tile.
    private static let computations: [any Computation & Sendable] = [
        PrecisionTests.Product(rows: 13, depth: 33, columns: 65),
        PrecisionTests.Product(rows: 97, depth: 130, columns: 31),
        NormedProduct(dim: 45), PrecisionTests.SwiGLU(width: 50),
        AdapterTests.Product(form: .all[1], kinds: [15, 3]),
        attention(32, [5, 130]), attention(64, [1, 70, 49]), attention(128, [77]),
        attention(24, [40]),
        PrecisionTests.Convolution(isNormed: false, scale: 1),
        PrecisionTests.Convolution(isNormed: true, scale: 1),
        OperationTests.Norm(dim: 33, kind: .layer), OperationTests.AddNorm(dim: 33),
        OperationTests.HeadNorm(headDim: 30, isAdjacent: true),
        OperationTests.ImageNorm(pixels: 255, offset: 0), OperationTests.Elementwise(),
    ]

    private static func attention(_ headDim: Int, _ lengths: [Int]) -> PrecisionTests.Attention {
        PrecisionTests.Attention(
            heads: 2, keyValueHeads: 1, headDim: headDim, isCausal: headDim == 64, lengths: lengths)
    }

    /// A device whose free memory consists of NaN: ones are one in f32 and in f16, and -1 in int8.
    private static func poisoned(
        _ precision: Precision, _ kernels: MatrixUse
    ) throws -> VulkanBackend {
        let limit = 2 * VulkanDevice.blockBytes
        let backend = try TestDevice.backend(
            precision: precision, matrices: kernels, memoryLimit: limit)
        var taken: [DeviceBuffer] = []
        var size = VulkanDevice.blockBytes
        while size >= 256 {
            while let buffer = try? backend.device.makeBuffer(bytes: size) {
                backend.device.recorder.fill(buffer, word: .max)
                taken.append(buffer)
            }
            size /= 2
        }
        #expect(backend.device.memoryBytes.used == limit)
        backend.finish()
        taken = []
        let fresh = try backend.device.makeBuffer(bytes: 1024)
        let words = try backend.device.recorder.download(fresh, count: 256, as: UInt32.self)
        #expect(words.allSatisfy { $0 == .max })
        return backend
    }

    @Test("of memory that no operation has written", arguments: Precision.allCases)
    func unwrittenMemory(_ precision: Precision) throws {
        for kernels in precision == .f32 ? [.never] : PrecisionTests.kernels {
            let clean = try TestDevice.backend(precision: precision, matrices: kernels)
            let poisoned = try Self.poisoned(precision, kernels)
            for computation in Self.computations {
                let want = computation(clean).map(\.bitPattern)
                let got = computation(poisoned)
                #expect(got.allSatisfy { $0.isFinite }, "\(computation) with \(kernels)")
                #expect(got.map(\.bitPattern) == want, "\(computation) with \(kernels)")
                if let failure = poisoned.failure { throw failure }
            }
        }
    }

    @Test("of another sequence of the batch", arguments: Precision.allCases)
    func otherSequences(_ precision: Precision) throws {
        for kernels in precision == .f32 ? [.never] : PrecisionTests.kernels {
            let backend = try TestDevice.backend(precision: precision, matrices: kernels)
            for causal in [false, true] {
                let clean = try attend(backend, causal: causal, firstOfAnother: 1)
                let spoilt = try attend(backend, causal: causal, firstOfAnother: .nan)
                #expect(clean == spoilt, "causal \(causal) with \(kernels)")
            }
        }
    }

    /// Returns the middle one of three sequences after attention and a product.
    private func attend(
        _ backend: VulkanBackend, causal: Bool, firstOfAnother value: Float
    ) throws -> [UInt32] {
        let (heads, headDim, lengths) = (2, 32, [19, 45, 30])
        let (wide, columns) = (heads * headDim, 3 * heads * headDim)
        let segments = Segments(lengths: lengths)
        var rows = OperationTests.numbers(segments.rows * columns, seed: 12)
        for row in Array(segments.range(0)) + segments.range(2) {
            // A query or a key, and a value.
            rows[row * columns + row] = value
            rows[row * columns + 2 * wide + row % wide] = value
        }
        let shape = AttentionShape(
            heads: heads, keyValueHeads: heads, headDim: headDim, causal: causal,
            precision: backend.precision)
        let weights = backend.makeWeights(
            MatrixSource(
                [StoredRows(OperationTests.numbers(33 * wide, seed: 8), rows: 33, depth: wide)]),
            precision: backend.precision)
        let qkv = backend.upload(rows, rows: segments.rows, columns: columns)
        let y = backend.download(
            backend.product(
                backend.attention(qkv, shape, segments: segments), weights, adding: nil))
        if let failure = backend.failure { throw failure }
        let own = y[(segments.range(1).lowerBound * 33)..<(segments.range(1).upperBound * 33)]
        #expect(own.allSatisfy { $0.isFinite })
        return own.map(\.bitPattern)
    }
}
