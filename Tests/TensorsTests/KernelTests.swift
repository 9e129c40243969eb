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

/// Every kernel of every variant against its plain twin.
@Suite("Kernels agree with their plain twins")
struct KernelTests {
    /// A variant of the kernels that this processor runs, and a precision.
    struct Variant: Sendable, CustomTestStringConvertible {
        let name: String
        let precision: Precision
        var testDescription: String { "\(name) \(precision)" }

        /// Largest difference, as a share of the largest expected magnitude.
        var tolerance: Float { precision == .f32 ? 4e-6 : 1e-5 }

        func backend(threads: Int = 2) throws -> CPUBackend {
            try CPUBackend(precision: precision, threads: threads, kernels: name)
        }

        static let all = CPUBackend.availableKernels.flatMap { name in
            Precision.allCases.map { Variant(name: name, precision: $0) }
        }

        /// Those with convolutions.
        static let convolving = all.filter { $0.precision != .int8 }

        /// Tolerance of results that are rounded to an operand, which may fall to either side: 2^-8
        /// of a number in bf16, about as much of the largest in int8.
        func rounded(_ others: Float) -> Float {
            switch precision {
            case .f32: others
            case .bf16: 800
            case .int8: 1200
            }
        }
    }

    private struct Pair {
        let fast: CPUBackend
        let plain: CPUBackend
        let variant: Variant

        init(_ variant: Variant) throws {
            self.variant = variant
            fast = try variant.backend()
            plain = try CPUBackend(referenceFor: fast.lanes, precision: variant.precision)
        }

        /// Runs the same operations on both and compares.
        func compare(_ scale: Float = 1, _ body: (CPUBackend) -> [Float]) {
            let (got, want) = (body(fast), body(plain))
            #expect(got.count == want.count)
            let largest = want.map(abs).max() ?? 0
            let worst = zip(got, want).map { abs($0 - $1) }.max() ?? 0
            #expect(
                worst <= variant.tolerance * scale * max(largest, 1e-3),
                "largest difference \(worst) of \(largest)")
        }
    }

    private func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var generator = TorchGenerator(seed: seed)
        return Array(generator.normals(max(16, count)).prefix(count))
    }

    /// Rows of an operand as f32: multiplies by the unit matrix.
    private func read(_ operand: CPUOperand, _ backend: CPUBackend) -> [Float] {
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
            (64, 97, 290),
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
        "gated products", arguments: Variant.all, [(1, 3, 5), (14, 40, 50), (30, 64, 170)])
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

    @Test(
        "convolutions of every kind, with norm and residual", arguments: Variant.convolving,
        [
            ConvolutionGeometry(height: 5, width: 7),
            ConvolutionGeometry(height: 4, width: 6, kernel: 1),
            ConvolutionGeometry(height: 6, width: 4, stride: 2, padding: 0),
            ConvolutionGeometry(height: 3, width: 5, upsample: true),
            ConvolutionGeometry(height: 20, width: 13),
            ConvolutionGeometry(height: 1, width: 1),
            ConvolutionGeometry(height: 31, width: 1),
            ConvolutionGeometry(height: 1, width: 230, upsample: true),
        ])
    func convolution(_ variant: Variant, _ geometry: ConvolutionGeometry) throws {
        let pair = try Pair(variant)
        for layout in [MatrixSource.Layout.stacked, .winograd3x3] {
            for (channels, columns) in [(19, 37), (66, 3), (3, 33)] {
                for normed in [false, true] {
                    if layout == .winograd3x3, geometry.kernel == 1 || geometry.stride == 2 {
                        continue
                    }
                    // Normed inputs are rounded to bf16 after arithmetic that the twin does in f64.
                    pair.compare(normed ? variant.rounded(40) : 20) { backend in
                        let convolution = Filter(
                            channels: channels, columns: columns, geometry: geometry,
                            layout: layout, groups: normed ? 1 : 0)
                        return backend.download(run(convolution, backend))
                    }
                }
            }
        }
    }

    private struct Filter {
        var channels: Int
        var columns: Int
        var geometry: ConvolutionGeometry
        var layout: MatrixSource.Layout
        /// 0 for no norm.
        var groups: Int
        var residual = true
        var reusing = true
    }

    private func run(_ filter: Filter, _ backend: CPUBackend) -> CPUValues {
        let (geometry, channels, columns) = (filter.geometry, filter.channels, filter.columns)
        let taps = geometry.kernel * geometry.kernel
        let weights = backend.makeWeights(
            MatrixSource(
                [
                    StoredRows(
                        numbers(columns * channels * taps, seed: 8), rows: columns,
                        depth: channels, taps: taps)
                ], layout: filter.layout, bias: numbers(columns, seed: 9)),
            precision: backend.precision)
        let rows = geometry.height * geometry.width
        let x = backend.upload(
            numbers(rows * channels, seed: 10), rows: rows, columns: channels)
        let area = geometry.outputHeight * geometry.outputWidth
        let residual = backend.upload(
            numbers(area * columns, seed: 11), rows: area, columns: columns)
        return backend.convolve(
            x, norm: filter.groups == 0 ? nil : norm(channels, filter.groups, backend), weights,
            geometry: geometry, adding: filter.residual ? residual : nil, reusing: filter.reusing)
    }

    private func norm(
        _ channels: Int, _ groups: Int, _ backend: CPUBackend
    ) -> GroupNorm<CPUBackend> {
        GroupNorm(
            groups: groups, weight: backend.makeVector(numbers(channels, seed: 25)),
            bias: backend.makeVector(numbers(channels, seed: 26)), epsilon: 1e-6, silu: true)
    }

    @Test(
        "Winograd convolutions agree with direct ones", arguments: Variant.convolving, [false, true])
    func winograd(_ variant: Variant, _ upsample: Bool) throws {
        let fast = try variant.backend()
        let exact = try CPUBackend(referenceFor: fast.lanes, precision: .f32)
        let geometry = ConvolutionGeometry(height: 33, width: 50, upsample: upsample)
        func filter(_ layout: MatrixSource.Layout) -> Filter {
            Filter(channels: 48, columns: 40, geometry: geometry, layout: layout, groups: 4)
        }
        let want = exact.download(run(filter(.stacked), exact))
        // bf16 loses about 4 dB against 9 products a pixel: 49 and 53.
        let noise = signalToNoise(fast.download(run(filter(.winograd3x3), fast)), want)
        #expect(noise > (variant.precision == .bf16 ? 47 : 120), "\(noise) dB")
    }

    @Test("memory that is given up", arguments: Variant.convolving)
    func reusing(_ variant: Variant) throws {
        let backend = try variant.backend()
        // Some bands of pixels: the result of one must not reach into the next one's input.
        for (kernel, columns, residual) in [(1, 7, false), (1, 3, false), (3, 5, true)] {
            var filter = Filter(
                channels: 7, columns: columns,
                geometry: ConvolutionGeometry(height: 40, width: 30_000, kernel: kernel),
                layout: .stacked, groups: 0, residual: residual, reusing: false)
            let want = backend.download(run(filter, backend))
            filter.reusing = true
            #expect(backend.download(run(filter, backend)) == want)
        }
    }

    private func signalToNoise(_ got: [Float], _ want: [Float]) -> Double {
        var (signal, noise) = (0.0, 0.0)
        for (x, y) in zip(got, want) {
            signal += Double(y) * Double(y)
            noise += (Double(x) - Double(y)) * (Double(x) - Double(y))
        }
        return 10 * log10(signal / max(noise, .leastNormalMagnitude))
    }

    @Test("a norm takes its sums from the convolution before it", arguments: Variant.convolving)
    func sumsOfConvolution(_ variant: Variant) throws {
        let backend = try variant.backend()
        for geometry in [
            ConvolutionGeometry(height: 1, width: 3), ConvolutionGeometry(height: 57, width: 61),
            ConvolutionGeometry(height: 21, width: 33, upsample: true),
        ] {
            let summed = run(
                Filter(
                    channels: 20, columns: 36, geometry: geometry, layout: .winograd3x3, groups: 0),
                backend)
            // The same numbers, without sums.
            let plain = backend.upload(
                backend.download(summed), rows: summed.rows, columns: summed.columns)
            let norm = self.norm(36, 6, backend)
            let (got, want) = (
                read(backend.groupNorm(summed, norm, precision: variant.precision), backend),
                read(backend.groupNorm(plain, norm, precision: variant.precision), backend)
            )
            let largest = want.map(abs).max() ?? 0
            let worst = zip(got, want).map { abs($0 - $1) }.max() ?? 0
            #expect(worst <= variant.tolerance * variant.rounded(4) * largest)
        }
    }

    @Test("convolutions on one thread or several", arguments: Variant.convolving)
    func convolutionThreads(_ variant: Variant) throws {
        for (height, width) in [(9, 11), (40, 37), (70, 90)] {
            for upsample in [false, true] {
                let filter = Filter(
                    channels: 24, columns: 36,
                    geometry: ConvolutionGeometry(
                        height: height, width: width, upsample: upsample), layout: .winograd3x3,
                    groups: 4)
                func result(_ threads: Int) throws -> [UInt32] {
                    let backend = try variant.backend(threads: threads)
                    let values = run(filter, backend)
                    let normed = backend.groupNorm(
                        values, norm(36, 6, backend), precision: variant.precision)
                    return (backend.download(values) + read(normed, backend)).map(\.bitPattern)
                }
                let alone = try result(1)
                for threads in [2, 5] { #expect(try result(threads) == alone) }
            }
        }
    }

    @Test("bands of a convolution leave no seams", arguments: Variant.convolving)
    func bands(_ variant: Variant) throws {
        let backend = try variant.backend()
        // So wide that a few lines fill a band: a row more or less must not change the others.
        let width = 60_000
        for (stride, kernel) in [(1, 3), (2, 3), (1, 1)] {
            func rows(_ height: Int) -> [Float] {
                backend.download(
                    run(
                        Filter(
                            channels: 4, columns: 2,
                            geometry: ConvolutionGeometry(
                                height: height, width: width, kernel: kernel, stride: stride,
                                padding: stride == 2 ? 0 : nil), layout: .stacked, groups: 0),
                        backend))
            }
            // Below the limit of a band, and twice above it; the last row sees the picture's end.
            let (few, many) = (rows(8), rows(40))
            let count = (8 / stride - 1) * width / stride * 2
            // Residuals are drawn in order, so the first rows have the same.
            #expect(few.prefix(count).elementsEqual(many.prefix(count)))
        }
    }

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
        // bf16 weights are rounded once more than the twin's; in int8 the twin attends in f32.
        let scale: Float = variant.precision == .f32 ? 20 : variant.precision == .bf16 ? 1200 : 3000
        pair.compare(scale) { backend in
            let qkv = backend.upload(
                numbers(segments.rows * columns, seed: 12), rows: segments.rows,
                columns: columns)
            return read(backend.attention(qkv, shape, segments: segments), backend)
        }
    }

    @Test(
        "attention that only the first tokens of each sequence ask for", arguments: Variant.all,
        [[0, 1, 64, 33], [5, 40, 31, 32]])
    func fewerQueries(_ variant: Variant, _ asking: [Int]) throws {
        let segments = Segments(lengths: [5, 40, 64, 500])
        let queries = Segments(lengths: asking)
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
        // Those that ask get what they get among all others, to the bit.
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

    // Not int8: its attention is that of a higher precision, which the plain twin may not share.
    @Test("attention with one score far above the others", arguments: Variant.convolving)
    func peakedAttention(_ variant: Variant) throws {
        let pair = try Pair(variant)
        let segments = Segments(lengths: [500])
        let shape = AttentionShape(
            heads: 1, keyValueHeads: 1, headDim: 32, causal: false, precision: variant.precision)
        // Scores of some hundreds: their own rounding in f32 is 1e-5, which the exponential keeps.
        pair.compare(variant.precision == .bf16 ? 1200 : 200) { backend in
            var data = numbers(500 * 96, seed: 29)
            for row in 0..<500 { for column in 0..<32 { data[row * 96 + column] *= 60 } }
            let qkv = backend.upload(data, rows: 500, columns: 96)
            return read(backend.attention(qkv, shape, segments: segments), backend)
        }
    }

    @Test("norms with modulation by sequence", arguments: Variant.all, [1, 7, 33, 100, 288])
    func norm(_ variant: Variant, _ dim: Int) throws {
        let pair = try Pair(variant)
        let segments = Segments(lengths: [3, 20, 1])
        for kind in [NormKind.rms, .layer] {
            // A single number is its own mean: the layer norm of it is noise over epsilon.
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

    @Test("one modulation for all sequences is that of each", arguments: Variant.all)
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
        "padding of operands holds zeros, so that no garbage is multiplied", arguments: Variant.all)
    func padding(_ variant: Variant) throws {
        let backend = try variant.backend()
        // Poison the pool's memory: the next operand of this size gets the same block.
        let poison = backend.upload(
            [Float](repeating: .nan, count: 40 * 64), rows: 40, columns: 64)
        _ = consume poison
        let x = backend.upload(numbers(40 * 33, seed: 27), rows: 40, columns: 33)
        let result = read(backend.operand(x, precision: variant.precision), backend)
        let isClean = result.allSatisfy { $0.isFinite }
        #expect(isClean)
    }

    @Test("a value that is not finite is found, with the lowest row", arguments: Variant.all)
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
