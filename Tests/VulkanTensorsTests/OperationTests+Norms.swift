// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

extension OperationTests {
    struct Norm: Computation {
        let dim: Int
        let kind: NormKind
        /// Rows of the modulation: one for all sequences, or one for each.
        var modulations = 3

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let segments = Segments(lengths: [3, 20, 1])
            let x = backend.upload(numbers(24 * dim, seed: 13), rows: 24, columns: dim)
            let scale = backend.upload(
                numbers(modulations * 2 * dim, seed: 14), rows: modulations, columns: 2 * dim)
            return read(
                backend.norm(
                    x, kind: kind, weight: backend.makeVector(numbers(dim, seed: 15)),
                    epsilon: 1e-5, scale: ModulationSlice(scale, column: dim),
                    segments: segments, precision: .f32), backend)
        }
    }

    struct AddNorm: Computation {
        let dim: Int

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let x = backend.upload(numbers(24 * dim, seed: 16), rows: 24, columns: dim)
            let y = backend.upload(numbers(24 * dim, seed: 17), rows: 24, columns: dim)
            let gate = backend.upload(numbers(3 * dim, seed: 18), rows: 3, columns: dim)
            backend.addNorm(
                y, to: x, weight: backend.makeVector(numbers(dim, seed: 19)), epsilon: 1e-5,
                gate: ModulationSlice(gate, column: 0), segments: Segments(lengths: [3, 20, 1]))
            return backend.download(x)
        }
    }

    @Test("norms with modulation by sequence", arguments: [1, 7, 33, 100, 288, 3840])
    func norm(_ dim: Int) throws {
        try compare(Norm(dim: dim, kind: .rms))
        // The layer norm of a single value is rounding noise over epsilon.
        if dim > 1 { try compare(Norm(dim: dim, kind: .layer, modulations: 1)) }
        try compare(AddNorm(dim: dim))
    }

    struct HeadNorm: Computation {
        let headDim: Int
        let isAdjacent: Bool

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let (tokens, heads, half) = (19, 3, headDim / 2)
            let x = backend.upload(
                numbers(tokens * (heads + 1) * headDim, seed: 20), rows: tokens,
                columns: (heads + 1) * headDim)
            let rotary = RotaryTable<Device>(
                cosines: backend.upload(
                    numbers(tokens * half, seed: 21), rows: tokens, columns: half),
                sines: backend.upload(
                    numbers(tokens * half, seed: 22), rows: tokens, columns: half),
                pairing: isAdjacent ? .adjacent : .halves)
            backend.normalizeHeads(
                x, columns: headDim..<((heads + 1) * headDim),
                weight: backend.makeVector(numbers(headDim, seed: 23)), epsilon: 1e-6,
                rotary: rotary)
            return backend.download(x)
        }
    }

    @Test("head norms with both kinds of rotation", arguments: [2, 16, 30, 66, 128])
    func headNorm(_ headDim: Int) throws {
        for isAdjacent in [false, true] {
            try compare(HeadNorm(headDim: headDim, isAdjacent: isAdjacent))
        }
    }

    struct Elementwise: Computation {
        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            func values() -> Device.Values {
                backend.upload(numbers(37 * 29, seed: 25).map { 4 * $0 }, rows: 37, columns: 29)
            }
            let all = (values(), values(), values(), values())
            backend.silu(all.0)
            backend.relu(all.1)
            backend.tanhLimit(all.2, limit: 3)
            backend.tanh(all.3, columns: 5..<17)
            return backend.download(all.0) + backend.download(all.1) + backend.download(all.2)
                + backend.download(all.3)
        }
    }

    struct Copies: Computation {
        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let source = backend.upload(numbers(9 * 7, seed: 26), rows: 9, columns: 7)
            let target = backend.upload(numbers(12 * 7, seed: 27), rows: 12, columns: 7)
            backend.copyRows(2..<5, of: source, to: target, at: 8)
            backend.copyRows(0..<0, of: source, to: target, at: 12)
            backend.copyRows(8..<11, of: target, to: target, at: 0)
            return backend.download(target)
        }
    }

    struct Sums: Computation {
        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let source = backend.upload(numbers(300 * 7, seed: 26), rows: 300, columns: 7)
            let target = backend.upload(numbers(320 * 7, seed: 27), rows: 320, columns: 7)
            backend.addRows(2..<299, of: source, scale: 0.375, to: target, at: 11)
            backend.addRows(4..<4, of: source, scale: 2, to: target, at: 320)
            backend.addRows(299..<300, of: source, scale: -1, to: target, at: 319)
            return backend.download(target)
        }
    }

    @Test("elementwise functions, copies and sums of rows")
    func elementwise() throws {
        try compare(Elementwise())
        try compare(Copies(), tolerance: 0)
        try compare(Sums())
    }

    @Test("NaN passes through a ReLU")
    func reluOfNaN() throws {
        let backend = try TestDevice.backend()
        let x = backend.upload([.nan, -1, 2, -.infinity], rows: 1, columns: 4)
        backend.relu(x)
        let result = backend.download(x)
        #expect(result[0].isNaN)
        #expect(Array(result[1...]) == [0, 2, 0])
    }

    @Test("norms report the lowest row with a value that is not finite, after a download")
    func guardFindsRow() throws {
        let backend = try TestDevice.backend()
        var data = Self.numbers(50 * 40, seed: 28)
        data[33 * 40 + 7] = .infinity
        data[21 * 40 + 39] = .nan
        let x = backend.upload(data, rows: 50, columns: 40)
        _ = backend.norm(
            x, kind: .rms, weight: nil, epsilon: 1e-5, scale: nil,
            segments: Segments(lengths: [50]), precision: .f32)
        _ = backend.download(x)
        #expect(backend.takeNonFiniteRow() == 21)
        #expect(backend.takeNonFiniteRow() == nil)
    }

    @Test("a check closes the interval that it reports, and names the first one")
    func guardIntervals() throws {
        let backend = try TestDevice.backend()
        func norm(badRow: Int?) {
            var data = Self.numbers(20 * 8, seed: 29)
            if let badRow { data[badRow * 8] = .nan }
            _ = backend.norm(
                backend.upload(data, rows: 20, columns: 8), kind: .rms, weight: nil, epsilon: 1e-5,
                scale: nil, segments: Segments(lengths: [20]), precision: .f32)
        }
        norm(badRow: nil)
        _ = backend.takeNonFiniteRow()
        norm(badRow: 7)
        let early = backend.takeNonFiniteRow()
        norm(badRow: 3)
        _ = backend.download(backend.upload([1], rows: 1, columns: 1))
        let late = backend.takeNonFiniteRow()
        // The device may have been fast enough for the first one.
        #expect(early == 7 ? late == 3 : early == nil && late == 7)
    }
}
