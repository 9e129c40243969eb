// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Benefit of the rotation before quantisation, and bit-identical results of all kernels.
@Suite("8-bit products")
struct Int8Tests {
    private func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var generator = TorchGenerator(seed: seed)
        return Array(generator.normals(max(16, count)).prefix(count))
    }

    /// Outlier channels, and the weights of those channels.
    enum Outliers: CaseIterable {
        /// No outliers.
        case none
        /// Three channels are a hundred times the rest; their weights are like all others.
        case seen
        /// The same, but weights of those channels are a hundredth of the rest, so that the error of
        /// the other channels dominates.
        case unseen
    }

    private func channels(_ depth: Int) -> [Int] { [5, depth / 3, depth - 2] }

    private func activations(rows: Int, depth: Int, _ outliers: Outliers) -> [Float] {
        var x = numbers(rows * depth, seed: 31)
        guard outliers != .none else { return x }
        for row in 0..<rows {
            for channel in channels(depth) { x[row * depth + channel] *= 100 }
        }
        return x
    }

    private func product(
        _ backend: CPUBackend, _ x: [Float], _ w: [Float], rows: Int, depth: Int
    ) -> [Float] {
        let precision = backend.precision
        let weights = backend.makeWeights(
            MatrixSource([StoredRows(w, rows: w.count / depth, depth: depth)]), precision: precision
        )
        let a = backend.operand(
            backend.upload(x, rows: rows, columns: depth), precision: precision)
        return backend.download(backend.product(a, weights, adding: nil))
    }

    /// Quantises rows to 127 steps of their largest magnitude, without rotation.
    private func rounded(_ x: [Float], depth: Int) -> [Float] {
        stride(from: 0, to: x.count, by: depth).flatMap { start in
            let row = x[start..<(start + depth)]
            let step = (row.map(abs).max() ?? 0) / 127
            return row.map { ($0 / step).rounded(.toNearestOrEven) * step }
        }
    }

    /// Returns the signal-to-noise ratio in decibels.
    private func decibels(_ got: [Float], _ want: [Float]) -> Double {
        let signal = want.reduce(0) { $0 + Double($1) * Double($1) }
        let noise = zip(got, want).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        return 10 * log10(signal / noise)
    }

    /// Measures the signal-to-noise ratio in decibels with and without rotation.
    private func levels(
        depth: Int, _ outliers: Outliers
    ) throws -> (rotated: Double, plain: Double) {
        let (rows, columns) = (24, 48)
        let x = activations(rows: rows, depth: depth, outliers)
        var w = numbers(columns * depth, seed: 32)
        if outliers == .unseen {
            for row in 0..<columns {
                for channel in channels(depth) { w[row * depth + channel] *= 0.01 }
            }
        }
        let exact = try CPUBackend(precision: .f32, threads: 2)
        let want = product(exact, x, w, rows: rows, depth: depth)
        let got = product(
            try CPUBackend(precision: .int8, threads: 2), x, w, rows: rows, depth: depth)
        let plain = product(
            exact, rounded(x, depth: depth), rounded(w, depth: depth), rows: rows, depth: depth)
        return (decibels(got, want), decibels(plain, want))
    }

    // Prints the table in `Docs/int8.md`.
    @Test(
        "outliers cost the rotated product little and the unrotated one much",
        arguments: zip(
            [192, 288, 512, 768, 2560, 3840, 4096, 9728, 10_240],
            [
                "text layers of the embedded model", "its transformer",
                "down of its text layers", "w2 of its transformer", "q, k, v, gate and up of text",
                "q, k, v, out, w1 and w3 of a block", "out of text", "down of text",
                "w2 of a block",
            ]))
    func outliers(_ depth: Int, _ layers: String) throws {
        let calm = try levels(depth: depth, .none)
        let seen = try levels(depth: depth, .seen)
        let unseen = try levels(depth: depth, .unseen)
        let cells = [calm, seen, unseen].flatMap { [$0.rotated, $0.plain] }
            .map { "\(($0 * 10).rounded() / 10)" }
        print("| \(depth) | \(layers) | \(cells.joined(separator: " | ")) |")
        #expect(calm.rotated > 36 && seen.rotated > calm.rotated - 3, "\(calm), \(seen)")
        #expect(seen.rotated > seen.plain + 8, "\(seen)")
        #expect(unseen.plain < 12 && unseen.rotated > unseen.plain + 8, "\(unseen)")
    }

    @Test(
        "all kernels give bit-identical results",
        arguments: [(1, 1, 1), (5, 33, 70), (30, 288, 40), (14, 1280, 65), (100, 200, 33)])
    func sameBits(_ size: (Int, Int, Int)) throws {
        let (rows, depth, columns) = size
        let x = numbers(rows * depth, seed: 33)
        let w = numbers(columns * depth, seed: 34)
        let results = try CPUBackend.availableKernels.map { name in
            product(
                try CPUBackend(precision: .int8, threads: 2, kernels: name), x, w, rows: rows,
                depth: depth
            ).map(\.bitPattern)
        }
        for (name, result) in zip(CPUBackend.availableKernels, results) {
            #expect(result == results[0], "\(name)")
        }
    }

    @Test("the largest factors do not overflow", arguments: KernelTests.Variant.all)
    func extremes(_ variant: KernelTests.Variant) throws {
        guard variant.precision == .int8 else { return }
        // A constant rotates to one large value per group.
        let depth = 16384
        let x = (0..<depth).map { $0 % 256 == 0 ? Float(1) : 0 }
        let got = product(try variant.backend(), x + x.map { -$0 }, x, rows: 2, depth: depth)
        #expect(abs(got[0] - 64) < 0.01)
        #expect(abs(got[1] + 64) < 0.01)
    }

    @Test("rows of the largest depth", arguments: KernelTests.Variant.all)
    func largestDepth(_ variant: KernelTests.Variant) throws {
        guard variant.precision == .int8 else { return }
        let backend = try variant.backend()
        let reference = try CPUBackend(referenceFor: backend, precision: .int8)
        let depth = backend.longestInt8Row
        let (x, w) = (numbers(2 * depth, seed: 37), numbers(3 * depth, seed: 38))
        let got = product(backend, x, w, rows: 2, depth: depth)
        let want = product(reference, x, w, rows: 2, depth: depth)
        #expect(decibels(got, want) > 80)
    }

    @Test("a value that is not finite affects only its row", arguments: KernelTests.Variant.all)
    func notFinite(_ variant: KernelTests.Variant) throws {
        let (rows, depth, columns) = (15, 70, 35)
        var x = numbers(rows * depth, seed: 35)
        let w = numbers(columns * depth, seed: 36)
        let backend = try variant.backend()
        let clean = product(backend, x, w, rows: rows, depth: depth)
        x[7 * depth + 3] = .nan
        let got = product(backend, x, w, rows: rows, depth: depth)
        for row in 0..<rows {
            let range = (row * columns)..<((row + 1) * columns)
            if row == 7 {
                #expect(got[range].allSatisfy { !$0.isFinite })
            } else {
                #expect(got[range].map(\.bitPattern) == clean[range].map(\.bitPattern))
            }
        }
    }
}
