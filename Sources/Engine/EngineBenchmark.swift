// Part of Inkstone. Licence: see LICENSE.

package import Tensors

/// Times operations at the sizes of the real model and prints them as shares of the peak.
package struct EngineBenchmark {
    /// Sizes of Z-Image's transformer.
    private static let (dim, heads, feedForward) = (3840, 30, 10240)

    private let device: CPUBackend
    private let peak: Double
    private let repetitions: Int

    /// A benchmark on `device`, whose multiply-add ceiling is `peak` operations per second.
    package init(device: CPUBackend, peak: Double, repetitions: Int) {
        self.device = device
        self.peak = peak
        self.repetitions = repetitions
    }

    /// Products and attention, one by one.
    package func kernels(tokens: Int) {
        let precision = device.precision
        for (name, depth, columns) in [
            ("to_qkv", Self.dim, 3 * Self.dim), ("to_out", Self.dim, Self.dim),
            ("w2", Self.feedForward, Self.dim),
        ] {
            let weights = makeWeights(rows: columns, depth: depth)
            let operand = device.operand(noise(tokens, depth), precision: precision)
            report("\(name) [\(tokens), \(depth)] x \(columns)", 2 * tokens * depth * columns) {
                _ = device.product(operand, weights, adding: nil)
            }
        }
        attention(tokens: tokens)
    }

    /// One unmodulated block: two products of each kind, attention and norms.
    package func block(tokens: Int) {
        let (dim, wide) = (Self.dim, Self.feedForward)
        let precision = device.precision
        let qkv = makeWeights(rows: 3 * dim, depth: dim)
        let out = makeWeights(rows: dim, depth: dim)
        let gateUp = device.makeWeights(
            MatrixSource([rows(wide, dim), rows(wide, dim)], layout: .gated),
            precision: precision)
        let down = makeWeights(rows: dim, depth: wide)
        let ones = device.makeVector([Float](repeating: 1, count: dim))
        let headOnes = device.makeVector([Float](repeating: 1, count: dim / Self.heads))
        let half = dim / Self.heads / 2
        let rotary = RotaryTable<CPUBackend>(
            cosines: device.upload(
                [Float](repeating: 1, count: tokens * half), rows: tokens, columns: half),
            sines: device.upload(
                [Float](repeating: 0, count: tokens * half), rows: tokens, columns: half),
            pairing: .adjacent)
        let segments = Segments(lengths: [tokens])
        let x = noise(tokens, dim)
        let operations =
            2 * tokens * (4 * dim * dim + 3 * dim * wide) + 4 * tokens * tokens * dim
        let shape = AttentionShape(
            heads: Self.heads, keyValueHeads: Self.heads, headDim: dim / Self.heads,
            causal: false, precision: precision)
        report("block of \(tokens) tokens", operations) {
            let h = device.norm(
                x, kind: .rms, weight: ones, epsilon: 1e-5, scale: nil, segments: segments,
                precision: precision)
            let mixed = device.product(h, qkv, adding: nil)
            for start in [0, dim] {
                device.normalizeHeads(
                    mixed, columns: start..<(start + dim), weight: headOnes, epsilon: 1e-5,
                    rotary: rotary)
            }
            let attended = device.attention(mixed, shape, segments: segments)
            device.addNorm(
                device.product(attended, out, adding: nil), to: x, weight: ones, epsilon: 1e-5,
                gate: nil, segments: segments)
            let g = device.norm(
                x, kind: .rms, weight: ones, epsilon: 1e-5, scale: nil, segments: segments,
                precision: precision)
            device.addNorm(
                device.product(device.gatedProduct(g, gateUp), down, adding: nil), to: x,
                weight: ones, epsilon: 1e-5, gate: nil, segments: segments)
        }
    }

    private func attention(tokens: Int) {
        let dim = Self.dim
        let qkv = noise(tokens, 3 * dim)
        let shape = AttentionShape(
            heads: Self.heads, keyValueHeads: Self.heads, headDim: dim / Self.heads,
            causal: false, precision: device.precision)
        report("attention of \(tokens) tokens", 4 * tokens * tokens * dim) {
            _ = device.attention(qkv, shape, segments: Segments(lengths: [tokens]))
        }
    }

    private func report(_ name: String, _ operations: Int, _ body: () -> Void) {
        body()
        var seconds = (0..<repetitions).map { _ in
            let start = ContinuousClock.now
            body()
            return (ContinuousClock.now - start).inSeconds
        }
        seconds.sort()
        let median = seconds[seconds.count / 2]
        let rate = Double(operations) / median
        let milliseconds = (median * 1e4).rounded() / 10
        let spread = Int(((seconds[seconds.count - 1] / seconds[0] - 1) * 100).rounded())
        print(
            "  \(name): \(milliseconds) ms (spread \(spread) %), \(Int(rate / 1e9)) GOP/s,"
                + " \(Int((rate / peak * 100).rounded())) % of peak")
    }

    private func noise(_ rows: Int, _ columns: Int) -> CPUValues {
        var generator = TorchGenerator(seed: 1)
        let line = generator.normals(max(16, columns))
        let values = device.makeValues(rows: rows, columns: columns)
        values.withNumbers { numbers in
            for index in numbers.indices {
                numbers[index] = line[(index &+ index / columns) % columns]
            }
        }
        return values
    }

    private func rows(_ count: Int, _ depth: Int) -> StoredRows {
        let scale = 1 / Float(depth).squareRoot()
        let numbers = [Float](unsafeUninitializedCapacity: count * depth) { buffer, filled in
            for index in 0..<(count * depth) {
                buffer[index] = Float((index &* 2_654_435_761) % 2001 - 1000) / 577 * scale
            }
            filled = count * depth
        }
        return StoredRows(numbers, rows: count, depth: depth)
    }

    private func makeWeights(rows count: Int, depth: Int) -> CPUWeights {
        device.makeWeights(MatrixSource([rows(count, depth)]), precision: device.precision)
    }
}
