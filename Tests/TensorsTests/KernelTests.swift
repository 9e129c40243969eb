// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

/// Compares every kernel of every variant with its reference implementation.
@Suite("Kernels agree with the reference implementation")
struct KernelTests {
    /// A kernel variant that this CPU supports, and a precision.
    struct Variant: Sendable, CustomTestStringConvertible {
        let name: String
        let precision: Precision
        var testDescription: String { "\(name) \(precision)" }

        /// Largest difference relative to the largest expected magnitude.
        var tolerance: Float { precision == .f32 ? 4e-6 : 1e-5 }

        func backend(threads: Int = 2) throws -> CPUBackend {
            try CPUBackend(precision: precision, threads: threads, kernels: name)
        }

        static let all = CPUBackend.availableKernels.flatMap { name in
            Precision.allCases.map { Variant(name: name, precision: $0) }
        }

        /// Precisions of convolutions.
        static let convolving = all.filter { $0.precision != .int8 }

        /// Tolerance of results that are rounded to an operand, in either direction: 2^-8 of a value
        /// in bf16, about as much of the largest value in int8.
        func rounded(_ others: Float) -> Float {
            switch precision {
            case .f32: others
            case .bf16: 800
            case .int8: 1200
            }
        }
    }

    struct Pair {
        let fast: CPUBackend
        let reference: CPUBackend
        let variant: Variant

        init(_ variant: Variant) throws {
            self.variant = variant
            fast = try variant.backend()
            reference = try CPUBackend(referenceFor: fast, precision: variant.precision)
        }

        /// Runs the same operations on both and compares.
        func compare(_ scale: Float = 1, _ body: (CPUBackend) -> [Float]) {
            let (got, want) = (body(fast), body(reference))
            #expect(got.count == want.count)
            let largest = want.map(abs).max() ?? 0
            let worst = zip(got, want).map { abs($0 - $1) }.max() ?? 0
            #expect(
                worst <= variant.tolerance * scale * max(largest, 1e-3),
                "largest difference \(worst) of \(largest)")
        }
    }

    func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var generator = TorchGenerator(seed: seed)
        return Array(generator.normals(max(16, count)).prefix(count))
    }

    /// Returns the rows of an operand as f32, by multiplying with the identity matrix.
    func read(_ operand: CPUOperand, _ backend: CPUBackend) -> [Float] {
        var unit = [Float](repeating: 0, count: operand.columns * operand.columns)
        for index in 0..<operand.columns { unit[index * operand.columns + index] = 1 }
        let weights = backend.makeWeights(
            MatrixSource([StoredRows(unit, rows: operand.columns, depth: operand.columns)]),
            precision: operand.precision)
        return backend.download(backend.product(operand, weights, adding: nil))
    }

    @Test(
        "matrix products of odd sizes, with bias and residual", arguments: Variant.all,
        [
            (1, 1, 1), (3, 5, 7), (13, 33, 65), (12, 32, 64), (97, 130, 31), (200, 300, 100),
            (64, 97, 290), (130, 1061, 47),
        ])
    func product(_ variant: Variant, _ size: (Int, Int, Int)) throws {
        let (rows, depth, columns) = size
        let pair = try Pair(variant)
        pair.compare(Float(depth).squareRoot() / 2 + 1) { backend in
            let weights = backend.makeWeights(
                MatrixSource(
                    [
                        StoredRows(
                            numbers(columns * depth, seed: 1), rows: columns, depth: depth)
                    ], bias: numbers(columns, seed: 2)), precision: variant.precision)
            let a = backend.upload(numbers(rows * depth, seed: 3), rows: rows, columns: depth)
            let residual = backend.upload(
                numbers(rows * columns, seed: 4), rows: rows, columns: columns)
            return backend.download(
                backend.product(
                    backend.operand(a, precision: variant.precision), weights, adding: residual))
        }
    }

    @Test(
        "SwiGLU products", arguments: Variant.all, [(1, 3, 5), (14, 40, 50), (30, 64, 170)])
    func swiglu(_ variant: Variant, _ size: (Int, Int, Int)) throws {
        let (rows, depth, width) = size
        let pair = try Pair(variant)
        pair.compare(variant.rounded(20)) { backend in
            let parts = [5, 6].map {
                StoredRows(
                    numbers(width * depth, seed: $0), rows: width, depth: depth)
            }
            let weights = backend.makeWeights(
                MatrixSource(parts, layout: .gated), precision: variant.precision)
            let a = backend.upload(numbers(rows * depth, seed: 7), rows: rows, columns: depth)
            return read(
                backend.swiglu(
                    backend.operand(a, precision: variant.precision), weights), backend)
        }
    }
}
