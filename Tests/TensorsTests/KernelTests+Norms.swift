// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

extension KernelTests {
    @Test("norms with modulation by sequence", arguments: Variant.all, [1, 7, 33, 100, 288])
    func norm(_ variant: Variant, _ dim: Int) throws {
        let pair = try Pair(variant)
        let segments = Segments(lengths: [3, 20, 1])
        for kind in [NormKind.rms, .layer] {
            // The layer norm of a single value is rounding noise over epsilon.
            if kind == .layer, dim == 1 { continue }
            pair.compare(variant.rounded(4)) { backend in
                let x = backend.upload(
                    numbers(24 * dim, seed: 13), rows: 24, columns: dim)
                let scale = backend.upload(
                    numbers(3 * 2 * dim, seed: 14), rows: 3, columns: 2 * dim)
                return read(
                    backend.norm(
                        x, kind: kind, weight: backend.makeVector(numbers(dim, seed: 15)),
                        epsilon: 1e-5, scale: ModulationSlice(scale, column: dim),
                        segments: segments, precision: variant.precision), backend)
            }
            pair.compare(4) { backend in
                let x = backend.upload(numbers(24 * dim, seed: 16), rows: 24, columns: dim)
                let y = backend.upload(numbers(24 * dim, seed: 17), rows: 24, columns: dim)
                let gate = backend.upload(numbers(3 * dim, seed: 18), rows: 3, columns: dim)
                backend.addNorm(
                    y, to: x, weight: backend.makeVector(numbers(dim, seed: 19)),
                    epsilon: 1e-5, gate: ModulationSlice(gate, column: 0), segments: segments)
                return backend.download(x)
            }
        }
    }

    @Test("a modulation shared by all sequences equals one per sequence", arguments: Variant.all)
    func sharedModulation(_ variant: Variant) throws {
        let backend = try variant.backend()
        let segments = Segments(lengths: [3, 20, 1])
        let dim = 70
        let own = numbers(dim, seed: 31)
        func run(_ copies: Int) -> [Float] {
            let x = backend.upload(numbers(24 * dim, seed: 32), rows: 24, columns: dim)
            let y = backend.upload(numbers(24 * dim, seed: 33), rows: 24, columns: dim)
            let vectors = backend.upload(
                (0..<copies).flatMap { _ in own }, rows: copies, columns: dim)
            let slice = ModulationSlice<CPUBackend>(vectors, column: 0)
            backend.addNorm(
                y, to: x, weight: backend.makeVector(numbers(dim, seed: 34)), epsilon: 1e-5,
                gate: slice, segments: segments)
            let normed = backend.norm(
                x, kind: .rms, weight: nil, epsilon: 1e-5, scale: slice, segments: segments,
                precision: variant.precision)
            return backend.download(x) + read(normed, backend)
        }
        #expect(run(1).map(\.bitPattern) == run(3).map(\.bitPattern))
    }

    @Test("head norms with both kinds of rotation", arguments: Variant.all, [2, 16, 30, 66, 128])
    func headNorm(_ variant: Variant, _ headDim: Int) throws {
        let pair = try Pair(variant)
        let (tokens, heads) = (19, 3)
        for halves in [false, true] {
            pair.compare(8) { backend in
                let x = backend.upload(
                    numbers(tokens * (heads + 1) * headDim, seed: 20), rows: tokens,
                    columns: (heads + 1) * headDim)
                let half = headDim / 2
                let rotary = RotaryTable<CPUBackend>(
                    cosines: backend.upload(
                        numbers(tokens * half, seed: 21), rows: tokens, columns: half),
                    sines: backend.upload(
                        numbers(tokens * half, seed: 22), rows: tokens, columns: half),
                    pairing: halves ? .halves : .adjacent)
                backend.normalizeHeads(
                    x, columns: headDim..<((heads + 1) * headDim),
                    weight: backend.makeVector(numbers(headDim, seed: 23)), epsilon: 1e-6,
                    rotary: rotary)
                return backend.download(x)
            }
        }
    }

    @Test("group norms, also far from zero", arguments: Variant.convolving, [1, 255, 700])
    func groupNorm(_ variant: Variant, _ pixels: Int) throws {
        let pair = try Pair(variant)
        let (channels, groups) = (24, 4)
        for offset: Float in [0, 30] {
            // Far from zero, f32 sums of squares lose digits: 30^2 is 900 times the variance.
            let scale: Float = variant.precision == .bf16 ? 800 : (offset == 0 ? 20 : 400)
            pair.compare(scale) { backend in
                let x = backend.upload(
                    numbers(pixels * channels, seed: 24).map { $0 + offset }, rows: pixels,
                    columns: channels)
                return read(
                    backend.groupNorm(
                        x, norm(channels, groups, backend), precision: variant.precision), backend)
            }
        }
    }

    @Test(
        "padding of operands is zero", arguments: Variant.all)
    func padding(_ variant: Variant) throws {
        let backend = try variant.backend()
        // Fills the pool's memory with NaN: the next operand of this size reuses the block.
        let poison = backend.upload(
            [Float](repeating: .nan, count: 40 * 64), rows: 40, columns: 64)
        _ = consume poison
        let x = backend.upload(numbers(40 * 33, seed: 27), rows: 40, columns: 33)
        let result = read(backend.operand(x, precision: variant.precision), backend)
        let isClean = result.allSatisfy { $0.isFinite }
        #expect(isClean)
    }

    @Test("norms report the lowest row with a value that is not finite", arguments: Variant.all)
    func guardFindsRow(_ variant: Variant) throws {
        let backend = try variant.backend()
        var data = numbers(50 * 40, seed: 28)
        data[33 * 40 + 7] = .infinity
        data[21 * 40 + 39] = .nan
        let x = backend.upload(data, rows: 50, columns: 40)
        _ = backend.norm(
            x, kind: .rms, weight: nil, epsilon: 1e-5, scale: nil,
            segments: Segments(lengths: [50]), precision: variant.precision)
        #expect(backend.takeNonFiniteRow() == 21)
        #expect(backend.takeNonFiniteRow() == nil)
    }
}
