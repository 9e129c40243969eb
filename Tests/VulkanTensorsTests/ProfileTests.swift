// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

/// Times of kernels by the device's timestamps.
@Suite("A profile has the time of each kernel, and changes nothing", .needsVulkan)
struct ProfileTests {
    private let count = 1000

    @Test("all commands of several submissions are counted", arguments: RecordingOrder.allCases)
    func counts(order: RecordingOrder) throws {
        let device = try TestDevice.open(order)
        guard device.hasTimestamps else { return }
        let (x, y) = (
            try device.makeBuffer(bytes: 4 * count), try device.makeBuffer(bytes: 4 * count)
        )
        device.recorder.upload((0..<UInt32(count)).map(\.self), to: x)
        let start = ContinuousClock.now
        device.recorder.beginProfile()
        // More than a pool of timestamps holds in one submission.
        for step in 0..<400 {
            let (source, target) = step % 2 == 0 ? (x, y) : (y, x)
            device.recorder.affine(source, to: target, count: count, factor: 3, adding: step)
            if step == 350 { device.recorder.submit() }
        }
        device.recorder.fill(y, word: 0)
        let profile = try device.recorder.endProfile()
        let seconds = (ContinuousClock.now - start).inSeconds
        let kernels = profile.entries.filter { $0.kernel?.shader == "affine" }
        #expect(kernels.reduce(0) { $0 + $1.calls } == 400)
        #expect(profile.entries.filter { $0.kernel == nil }.map(\.calls) == [1])
        #expect(profile.submissions == 2)
        #expect(profile.entries.allSatisfy { $0.seconds >= 0 })
        #expect(profile.seconds > 0 && profile.seconds + profile.idleSeconds <= seconds)
        let expected = (0..<UInt32(count)).map { first in
            (0..<400).reduce(first) { 3 &* $0 &+ UInt32($1) }
        }
        #expect(try device.recorder.download(x, count: count, as: UInt32.self) == expected)
        // Without a profile nothing is measured.
        device.recorder.affine(x, to: y, count: count)
        #expect(try device.recorder.endProfile().entries.isEmpty)
    }

    @Test("products and attention have their operations, and the same bytes")
    func operations() throws {
        let device = try TestDevice.backend(precision: .int8)
        let (rows, depth, columns) = (70, 96, 66)
        func noise(_ count: Int) -> [Float] {
            var generator = TorchGenerator(seed: 3)
            return generator.normals(count)
        }
        let weights = device.makeWeights(
            MatrixSource([StoredRows(noise(columns * depth), rows: columns, depth: depth)]),
            precision: .int8)
        let x = device.upload(noise(rows * depth), rows: rows, columns: depth)
        let shape = AttentionShape(
            heads: 1, keyValueHeads: 1, headDim: 32, causal: false, precision: .bf16)
        func run() -> [Float] {
            let product = device.product(
                device.operand(x, precision: .int8), weights, adding: nil)
            _ = device.attention(x, shape, segments: Segments(lengths: [50, 20]))
            return device.download(product)
        }
        let alone = run()
        var profiled: [[Float]] = []
        let profile = try device.profile { profiled.append(run()) }
        #expect(profiled == [alone, alone], "once for the counts and once for the times")
        #expect(profile.seconds > 0 && profile.recordingSeconds > 0)
        #expect(profile.counts.submissions == 1)
        guard device.device.hasTimestamps else { return }
        let product = try #require(profile.lines.first { $0.numbers == .int8 })
        #expect(product.name.hasPrefix("product_int8_"))
        #expect(product.operations == 2 * rows * depth * columns && product.calls == 1)
        let attention = try #require(profile.lines.first { $0.name.hasPrefix("attention_") })
        #expect(attention.operations == 4 * (50 * 50 + 20 * 20) * 32)
        let calls = profile.lines.reduce(0) { $0 + $1.calls }
        #expect(calls == profile.counts.dispatches + profile.counts.transfers)
        #expect(profile.lines == profile.lines.sorted { $0.seconds > $1.seconds })
    }

    @Test("an error ends the profile, and the device goes on")
    func failure() throws {
        let device = try TestDevice.backend()
        #expect(throws: CancellationError.self) {
            try device.profile { throw CancellationError() }
        }
        let x = device.upload([1, -1], rows: 1, columns: 2)
        device.relu(x)
        #expect(device.download(x) == [1, 0])
    }
}

/// Peak rates of the device.
@Suite("Peaks are measured by kernels that prove their work", .needsVulkan)
struct MeasuredPeaksTests {
    private static func shape(_ a: MatrixShape.Element) -> MatrixShape {
        let sum = a == .s8 ? MatrixShape.Element.s32 : .f32
        return MatrixShape(m: 16, n: 16, k: a == .s8 ? 32 : 16, a: a, b: a, c: sum, result: sum)
    }

    @Test("all rates are measured, also those of matrix instructions")
    func rates() throws {
        let backend = try TestDevice.backend(precision: .int8)
        let peaks = try MeasuredPeaks(of: backend)
        #expect(Self.wrong(peaks) == [])
        for rate in peaks.operations.values { #expect(rate > 1e6) }
        #expect(try #require(peaks.bandwidth) > 1e6)
        guard backend.device.facts.matrixShapes.contains(Self.shape(.s8)) else { return }
        let matrices = try TestDevice.backend(
            precision: .int8,
            matrices: .fragments(int8: Self.shape(.s8), f16: Self.shape(.f16)))
        let ofMatrices = try MeasuredPeaks(of: matrices)
        #expect(Self.wrong(ofMatrices) == [])
        #expect(ofMatrices.operations.count + ofMatrices.faults.count == 3)
    }

    /// Faults but those of times, for which this machine may be too busy.
    private static func wrong(_ peaks: MeasuredPeaks) -> [String] {
        peaks.faults.filter { !$0.contains("is not known") }
    }

    @Test("a kernel that computes wrong numbers has no rate")
    func wrong() throws {
        var options = VulkanOptions()
        options.shaders = ["peak_f32": AffineShader.words]
        let backend = try VulkanBackend(.automatic, precision: .f32, options: options)
        let peaks = try MeasuredPeaks(of: backend)
        #expect(peaks.operations[.f32] == nil)
        let wrong = Self.wrong(peaks)
        #expect(wrong.count == 1)
        #expect(wrong.first?.hasPrefix("'peak_f32' computes wrong numbers: ") == true)
    }
}
