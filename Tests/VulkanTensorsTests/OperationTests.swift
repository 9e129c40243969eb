// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

/// Compares every operation on a Vulkan device with the CPU's.
@Suite("Operations on a Vulkan device agree with the CPU", .needsVulkan)
struct OperationTests {
    /// The same operations for every backend.
    protocol Computation {
        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float]
    }

    /// Runs a computation on both devices and compares.
    ///
    /// - Parameter tolerance: Largest difference, relative to the largest expected magnitude.
    func compare(_ computation: some Computation, tolerance: Float = 2e-5) throws {
        let cpu = try CPUBackend(precision: .f32, threads: 2)
        let want = computation(cpu)
        for order in [RecordingOrder.asRecorded, .reversed] {
            let device = try TestDevice.backend(order)
            let got = computation(device)
            if let failure = device.failure { throw failure }
            #expect(got.count == want.count)
            let largest = want.map(abs).max() ?? 0
            // A number that is not finite makes every comparison false.
            let worst = zip(got, want).map { abs($0 - $1) }.reduce(0) {
                $1 > $0 || $1.isNaN ? $1 : $0
            }
            #expect(
                worst <= tolerance * max(largest, 1e-3),
                "largest difference \(worst) of \(largest), \(order)")
        }
    }

    static func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var generator = TorchGenerator(seed: seed)
        return Array(generator.normals(max(16, count)).prefix(count))
    }

    /// Returns the rows of an operand, by multiplying with the identity matrix.
    static func read<Device: Backend>(_ operand: Device.Operand, _ backend: Device) -> [Float] {
        let columns = operand.columns
        var unit = [Float](repeating: 0, count: columns * columns)
        for index in 0..<columns { unit[index * columns + index] = 1 }
        let weights = backend.makeWeights(
            MatrixSource([StoredRows(unit, rows: columns, depth: columns)]), precision: .f32)
        return backend.download(backend.product(operand, weights, adding: nil))
    }

    struct Product: Computation {
        let rows, depth, columns: Int

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let weights = backend.makeWeights(
                MatrixSource(
                    [StoredRows(numbers(columns * depth, seed: 1), rows: columns, depth: depth)],
                    bias: numbers(columns, seed: 2)), precision: .f32)
            let a = backend.upload(numbers(rows * depth, seed: 3), rows: rows, columns: depth)
            let residual = backend.upload(
                numbers(rows * columns, seed: 4), rows: rows, columns: columns)
            return backend.download(
                backend.product(
                    backend.operand(a, precision: .f32), weights, adding: residual))
        }
    }

    @Test(
        "products of odd sizes, with bias and residual",
        arguments: [
            (1, 1, 1), (3, 5, 7), (13, 33, 65), (12, 32, 64), (97, 130, 31), (200, 300, 100),
            (64, 97, 290), (130, 1061, 47),
        ])
    func product(_ size: (Int, Int, Int)) throws {
        try compare(Product(rows: size.0, depth: size.1, columns: size.2))
    }

    struct SwiGLU: Computation {
        let rows, depth, width: Int

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let parts = [5, 6].map {
                StoredRows(numbers(width * depth, seed: $0), rows: width, depth: depth)
            }
            let weights = backend.makeWeights(
                MatrixSource(parts, layout: .gated), precision: .f32)
            let a = backend.upload(numbers(rows * depth, seed: 7), rows: rows, columns: depth)
            return read(
                backend.swiglu(backend.operand(a, precision: .f32), weights), backend)
        }
    }

    @Test("SwiGLU products", arguments: [(1, 3, 5), (14, 40, 50), (30, 64, 170)])
    func swiglu(_ size: (Int, Int, Int)) throws {
        try compare(SwiGLU(rows: size.0, depth: size.1, width: size.2))
    }

    struct Attention: Computation {
        let shape: AttentionShape
        let segments: Segments
        var queries: Segments?

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let columns = (shape.heads + 2 * shape.keyValueHeads) * shape.headDim
            let qkv = backend.upload(
                numbers(segments.rows * columns, seed: 12), rows: segments.rows, columns: columns)
            return read(
                backend.attention(qkv, shape, segments: segments, queries: queries ?? segments),
                backend)
        }
    }

    static func shape(
        _ heads: Int, _ keyValueHeads: Int, _ headDim: Int, causal: Bool = false
    ) -> AttentionShape {
        AttentionShape(
            heads: heads, keyValueHeads: keyValueHeads, headDim: headDim, causal: causal,
            precision: .f32)
    }

    @Test(
        "attention over ragged sequences",
        arguments: [
            (shape(1, 1, 2), [1]), (shape(3, 3, 10), [5, 33, 64]),
            (shape(4, 2, 16, causal: true), [1, 70, 49]), (shape(2, 2, 32), [130, 257]),
            (shape(2, 1, 24, causal: true), [300]), (shape(1, 1, 96), [130]),
            (shape(2, 2, 128), [48, 121]), (shape(4, 1, 64, causal: true), [40, 3, 200]),
            (shape(1, 1, 33), [31, 32, 33]), (shape(1, 1, 512), [70]),
        ])
    func attention(_ shape: AttentionShape, _ lengths: [Int]) throws {
        try compare(Attention(shape: shape, segments: Segments(lengths: lengths)))
    }

    @Test(
        "attention with the first tokens of each sequence as queries",
        arguments: [[0, 1, 64, 33], [5, 40, 31, 32]])
    func fewerQueries(_ lengths: [Int]) throws {
        try compare(
            Attention(
                shape: Self.shape(2, 2, 32), segments: Segments(lengths: [5, 40, 64, 100]),
                queries: Segments(lengths: lengths)))
    }
}
