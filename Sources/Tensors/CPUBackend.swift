// Part of Inkstone. Licence: see LICENSE.

import CKernels
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Runs the model on the processor, with the kernels of the best instruction set it has.
///
/// One operation at a time: a caller that has several requests puts them into one batch.
public final class CPUBackend: Backend, @unchecked Sendable {
    // Unchecked: the thread pool and the guard slot are touched only inside operations, and callers
    // run one operation at a time (stated above).

    /// Precision of products.
    public let precision: Precision
    /// Threads that share each operation.
    public let threads: Int
    /// Name of the kernels in use, such as `avx512bf16`.
    public var kernelsName: String { String(cString: kernels.pointee.name) }

    private let kernels: UnsafePointer<ink_kernels>
    private let workers: OpaquePointer
    private let pool = BufferPool()
    private let guardSlot: UnsafeMutablePointer<Int32>

    /// A backend with its own threads.
    ///
    /// - Parameters:
    ///   - precision: of products.
    ///   - threads: at least 1.
    ///   - kernels: name of a variant, or `nil` for the best that this processor runs.
    /// - Throws: `BackendError` when the processor lacks the variant, or threads cannot be started.
    public init(precision: Precision, threads: Int, kernels name: String? = nil) throws(BackendError) {
        self.kernels = try Self.findKernels(name)
        guard let workers = ink_pool_create(Int32(clamping: max(1, threads))) else {
            throw BackendError(message: "could not start \(threads) threads: out of memory.")
        }
        self.precision = precision
        self.workers = workers
        self.threads = Int(ink_pool_threads(workers))
        guardSlot = .allocate(capacity: 1)
        guardSlot.pointee = -1
    }

    /// A backend on the plain reference kernels, for tests.
    package init(referenceFor lanes: Int, precision: Precision) throws(BackendError) {
        guard let workers = ink_pool_create(1) else {
            throw BackendError(message: "could not start a thread: out of memory.")
        }
        self.kernels = ink_kernels_reference(Int32(lanes))
        self.precision = precision
        self.workers = workers
        threads = 1
        guardSlot = .allocate(capacity: 1)
        guardSlot.pointee = -1
    }

    deinit {
        ink_pool_destroy(workers)
        guardSlot.deallocate()
    }

    private static func findKernels(
        _ name: String?
    ) throws(BackendError) -> UnsafePointer<ink_kernels> {
        guard let name else { return ink_kernels_best() }
        guard let found = ink_kernels_named(name) else {
            throw BackendError(
                message: "kernels '\(name)' do not run on this processor; it has"
                    + " \(CPUBackend.availableKernels.joined(separator: ", ")).")
        }
        return found
    }

    /// Names of the variants that this processor runs, fastest first.
    public static var availableKernels: [String] {
        ["avx512bf16", "avx512", "avx2", "portable"].filter { ink_kernels_named($0) != nil }
    }

    /// Whether the best kernels multiply bf16 in hardware.
    public static var hasNativeBF16: Bool { ink_kernels_best().pointee.native_bf16 != 0 }

    /// f32 values in a vector of the kernels in use.
    package var lanes: Int { Int(kernels.pointee.lanes) }

    /// Operations per second of register-only multiply-adds on all threads.
    package func measurePeak(precision: Precision, seconds: Double = 0.2) -> Double {
        struct Run {
            let spin: @convention(c) (ink_precision, Int) -> Double
            let precision: ink_precision
            let iterations: Int
            var operations: [Double]
        }
        var run = Run(
            spin: kernels.pointee.spin, precision: precision.kernelValue,
            iterations: 2000, operations: Array(repeating: 0, count: threads))
        var best = 0.0
        let clock = ContinuousClock()
        let start = clock.now
        repeat {
            let before = clock.now
            withUnsafeMutablePointer(to: &run) { pointer in
                ink_pool_run(
                    workers, threads,
                    { context, index, _ in
                        guard let context else { return }
                        let run = context.assumingMemoryBound(to: Run.self)
                        run.pointee.operations[index] =
                            run.pointee.spin(run.pointee.precision, run.pointee.iterations)
                    }, pointer)
            }
            best = max(best, run.operations.reduce(0, +) / (clock.now - before).inSeconds)
        } while (clock.now - start).inSeconds < seconds
        return best
    }

    /// Returns memory that no operation uses now to the system.
    public func trim() { pool.trim() }

    // MARK: - Memory

    public func makeValues(rows: Int, columns: Int) -> CPUValues {
        CPUValues(rows: rows, columns: columns, pool: pool)
    }

    public func upload(_ numbers: [Float], rows: Int, columns: Int) -> CPUValues {
        precondition(numbers.count == rows * columns, "upload: \(numbers.count) numbers")
        let values = makeValues(rows: rows, columns: columns)
        values.withNumbers { _ = $0.update(from: numbers) }
        return values
    }

    public func download(_ values: CPUValues) -> [Float] {
        values.withNumbers { Array($0) }
    }

    public func makeVector(_ numbers: [Float]) -> CPUVector { CPUVector(numbers) }

    public func copyRows(
        _ range: Range<Int>, of source: CPUValues, to target: CPUValues, at row: Int
    ) {
        precondition(
            source.columns == target.columns && range.upperBound <= source.rows
                && row + range.count <= target.rows, "copyRows: shapes")
        let columns = source.columns
        (target.pointer + row * columns).update(
            from: source.pointer + range.lowerBound * columns, count: range.count * columns)
    }

    public func makeWeights(_ source: MatrixSource, precision: Precision) -> CPUWeights {
        let lanes = self.lanes
        let panel = 2 * lanes
        guard let first = source.parts.first else { preconditionFailure("matrix without parts") }
        let depth = first.depth
        let taps = first.taps
        precondition(source.parts.allSatisfy { $0.depth == depth && $0.taps == taps }, "depths")
        // Mixed storage types are rare (a merged LoRA beside stored rows): bring all to f32.
        var parts = source.parts
        if parts.contains(where: { $0.dtype != first.dtype }) {
            parts = parts.map { StoredRows($0.floats(), rows: $0.rows, depth: depth, taps: taps) }
        }
        let dtype = parts[0].dtype
        let width = dtype.byteWidth

        func row(_ part: StoredRows, _ index: Int) -> UnsafeRawPointer? {
            guard index < part.rows else { return nil }
            return part.bytes.baseAddress.map { $0 + index * depth * taps * width }
        }
        var rows: [UnsafeRawPointer?] = []
        var bias = source.bias
        let isGated = source.layout == .gated
        let columns: Int
        if isGated {
            precondition(parts.count == 2 && parts[0].rows == parts[1].rows && bias == nil, "gated")
            for start in stride(from: 0, to: parts[0].rows, by: lanes) {
                for part in parts {
                    for lane in 0..<lanes { rows.append(row(part, start + lane)) }
                }
            }
            columns = 2 * parts[0].rows
        } else {
            for part in parts {
                for index in 0..<part.rows { rows.append(row(part, index)) }
            }
            columns = rows.count
            while !rows.count.isMultiple(of: panel) { rows.append(nil) }
        }
        let bytes = ink_panel_bytes(rows.count, depth, taps, precision.kernelValue)
        let panels = UnsafeMutableRawPointer.allocate(byteCount: max(64, bytes), alignment: 64)
        rows.withUnsafeBufferPointer { pointers in
            guard let start = pointers.baseAddress else { return }
            var pack = ink_pack(
                rows: start, row_count: pointers.count, source: dtype.kernelSource, depth: depth,
                taps: taps, panel_width: panel, precision: precision.kernelValue,
                destination: panels)
            ink_pack_rows(workers, &pack)
        }
        // The rows belong to mapped files: they must outlive the packing.
        withExtendedLifetime(parts) {}
        var storedBias: UnsafeMutablePointer<Float>?
        if bias != nil {
            bias?.append(contentsOf: repeatElement(0, count: rows.count - columns))
            let memory = UnsafeMutablePointer<Float>.allocate(capacity: rows.count)
            for (index, number) in (bias ?? []).enumerated() { memory[index] = number }
            storedBias = memory
        }
        let matrix = ink_matrix(
            panels: panels, bias: storedBias, columns: columns, depth: depth, taps: taps,
            precision: precision.kernelValue)
        return CPUWeights(
            panels: panels, bytes: bytes, bias: storedBias, matrix: matrix, isGated: isGated)
    }

    // MARK: - Products

    public func operand(_ x: CPUValues, precision: Precision) -> CPUOperand {
        let result = CPUOperand(rows: x.rows, columns: x.columns, precision: precision, pool: pool)
        var call = ink_convert(
            x: x.pointer, rows: x.rows, columns: x.columns, stride: x.columns, out: result.output)
        kernels.pointee.convert(workers, &call)
        return result
    }

    public func product(
        _ a: CPUOperand, _ weights: CPUWeights, adding residual: CPUValues?
    ) -> CPUValues {
        check(a, weights)
        precondition(!weights.isGated, "product with gated weights")
        let result = makeValues(rows: a.rows, columns: weights.columns)
        if let residual {
            precondition(residual.rows == a.rows && residual.columns == weights.columns, "residual")
        }
        var call = ink_product(
            a: a.input, rows: a.rows, b: weights.matrix, gated: 0,
            residual: residual.map { UnsafePointer($0.pointer) }, residual_stride: weights.columns,
            out: ink_output(
                data: result.buffer.address, stride: weights.columns, precision: INK_F32))
        kernels.pointee.product(workers, &call)
        return result
    }

    public func gatedProduct(_ a: CPUOperand, _ weights: CPUWeights) -> CPUOperand {
        check(a, weights)
        precondition(weights.isGated, "gated product with plain weights")
        let result = CPUOperand(
            rows: a.rows, columns: weights.columns, precision: a.precision, pool: pool)
        var call = ink_product(
            a: a.input, rows: a.rows, b: weights.matrix, gated: 1, residual: nil,
            residual_stride: 0, out: result.output)
        kernels.pointee.product(workers, &call)
        return result
    }

    private func check(_ a: CPUOperand, _ weights: CPUWeights) {
        precondition(
            a.columns == weights.matrix.depth && a.precision.kernelValue == weights.matrix.precision,
            "operand [.., \(a.columns)] \(a.precision) does not fit weights of depth"
                + " \(weights.matrix.depth)")
    }

    public func convolve(
        _ input: CPUOperand, _ weights: CPUWeights, geometry: ConvolutionGeometry,
        adding residual: CPUValues?
    ) -> CPUValues {
        check(input, weights)
        let rows = geometry.outputHeight * geometry.outputWidth
        precondition(
            input.rows == geometry.height * geometry.width
                && weights.matrix.taps == geometry.kernel * geometry.kernel
                && input.columns <= 4096, "convolution shapes")
        let result = makeValues(rows: rows, columns: weights.columns)
        if let residual {
            precondition(residual.rows == rows && residual.columns == weights.columns, "residual")
        }
        var call = ink_convolution(
            input: input.input, height: geometry.height, width: geometry.width,
            kernel: geometry.kernel, stride: geometry.stride, pad_top: geometry.padding,
            pad_left: geometry.padding, upsample: geometry.upsample ? 1 : 0,
            out_height: geometry.outputHeight, out_width: geometry.outputWidth,
            weights: weights.matrix, residual: residual.map { UnsafePointer($0.pointer) },
            out: result.pointer)
        kernels.pointee.convolve(workers, &call)
        return result
    }

    public func attention(
        _ qkv: CPUValues, _ shape: AttentionShape, segments: Segments
    ) -> CPUOperand {
        let wide = shape.heads * shape.headDim
        let narrow = shape.keyValueHeads * shape.headDim
        precondition(
            qkv.columns == wide + 2 * narrow && segments.rows == qkv.rows, "attention shapes")
        let result = CPUOperand(
            rows: qkv.rows, columns: wide, precision: shape.precision, pool: pool)
        let bytes = kernels.pointee.attention_scratch(
            Int32(threads), qkv.rows, segments.count, shape.keyValueHeads, shape.headDim,
            shape.precision.kernelValue)
        let scratch = PooledBuffer(bytes: bytes, pool: pool)
        withOffsets(segments) { offsets in
            var call = ink_attention(
                q: qkv.pointer, k: qkv.pointer + wide, v: qkv.pointer + wide + narrow,
                stride: qkv.columns, heads: shape.heads, kv_heads: shape.keyValueHeads,
                head_dim: shape.headDim, offsets: offsets, segments: segments.count,
                causal: shape.causal ? 1 : 0, scale: 1 / Float(shape.headDim).squareRoot(),
                precision: shape.precision.kernelValue, out: result.output,
                scratch: scratch.address)
            kernels.pointee.attend(workers, &call)
        }
        return result
    }

    // MARK: - Norms and activations

    public func normalizeHeads(
        _ x: CPUValues, columns: Range<Int>, weight: CPUVector, epsilon: Float,
        rotary: RotaryTable<CPUBackend>
    ) {
        let headDim = weight.count
        precondition(
            columns.upperBound <= x.columns && columns.count.isMultiple(of: headDim)
                && rotary.cosines.rows == x.rows && rotary.cosines.columns == headDim / 2,
            "head norm shapes")
        var call = ink_head_norm(
            x: x.pointer + columns.lowerBound, stride: x.columns, tokens: x.rows,
            heads: columns.count / headDim, head_dim: headDim, weight: weight.pointer,
            epsilon: epsilon, cosines: rotary.cosines.pointer, sines: rotary.sines.pointer,
            interleaved: rotary.pairing == .adjacent ? 1 : 0, non_finite: guardSlot)
        kernels.pointee.head_norm(workers, &call)
    }

    public func norm(
        _ x: CPUValues, kind: NormKind, weight: CPUVector?, epsilon: Float,
        scale: ModulationSlice<CPUBackend>?, segments: Segments, precision: Precision
    ) -> CPUOperand {
        precondition(segments.rows == x.rows && (weight?.count ?? x.columns) == x.columns, "norm")
        let result = CPUOperand(rows: x.rows, columns: x.columns, precision: precision, pool: pool)
        withOffsets(segments) { offsets in
            var call = ink_norm(
                x: x.pointer, rows: x.rows, dim: x.columns, centred: kind == .layer ? 1 : 0,
                weight: weight?.pointer, epsilon: epsilon,
                scale: scale.map { UnsafePointer($0.values.pointer + $0.column) },
                scale_stride: scale?.values.columns ?? 0, offsets: offsets,
                segments: segments.count, out: result.output, non_finite: guardSlot)
            kernels.pointee.norm(workers, &call)
        }
        return result
    }

    public func addNorm(
        _ y: CPUValues, to x: CPUValues, weight: CPUVector, epsilon: Float,
        gate: ModulationSlice<CPUBackend>?, segments: Segments
    ) {
        precondition(
            x.rows == y.rows && x.columns == y.columns && segments.rows == x.rows
                && weight.count == x.columns, "addNorm shapes")
        withOffsets(segments) { offsets in
            var call = ink_add_norm(
                x: x.pointer, y: y.pointer, rows: x.rows, dim: x.columns, weight: weight.pointer,
                epsilon: epsilon, gate: gate.map { UnsafePointer($0.values.pointer + $0.column) },
                gate_stride: gate?.values.columns ?? 0, offsets: offsets,
                segments: segments.count, non_finite: guardSlot)
            kernels.pointee.add_norm(workers, &call)
        }
    }

    public func groupNorm(
        _ x: CPUValues, groups: Int, weight: CPUVector, bias: CPUVector, epsilon: Float,
        silu: Bool, precision: Precision
    ) -> CPUOperand {
        precondition(weight.count == x.columns && x.columns.isMultiple(of: groups), "groupNorm")
        let result = CPUOperand(rows: x.rows, columns: x.columns, precision: precision, pool: pool)
        let scratch = PooledBuffer(bytes: ink_group_norm_scratch(x.rows, x.columns), pool: pool)
        var call = ink_group_norm(
            x: x.pointer, pixels: x.rows, channels: x.columns, groups: groups,
            weight: weight.pointer, bias: bias.pointer, epsilon: epsilon, silu: silu ? 1 : 0,
            out: result.output, scratch: scratch.address, non_finite: guardSlot)
        kernels.pointee.group_norm(workers, &call)
        return result
    }

    public func silu(_ x: CPUValues) {
        kernels.pointee.silu(x.pointer, x.rows * x.columns)
    }

    public func tanh(_ x: CPUValues, columns: Range<Int>) {
        for row in 0..<x.rows {
            for column in columns {
                let at = row * x.columns + column
                x.pointer[at] = tanhf(x.pointer[at])
            }
        }
    }

    // MARK: - Guard

    public func takeNonFiniteRow() -> Int? {
        defer { guardSlot.pointee = -1 }
        return guardSlot.pointee < 0 ? nil : Int(guardSlot.pointee)
    }

    private func withOffsets(_ segments: Segments, _ body: (UnsafePointer<Int>) -> Void) {
        segments.offsets.withUnsafeBufferPointer { buffer in
            if let start = buffer.baseAddress { body(start) }
        }
    }
}

/// Why a backend could not be made.
public struct BackendError: Error, Sendable, CustomStringConvertible {
    /// One sentence: what was asked for, and what there is.
    public let message: String
    /// The message.
    public var description: String { message }
}

extension Duration {
    /// The duration as a number.
    package var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}

extension StoredRows {
    /// The numbers as f32.
    package func floats() -> [Float] {
        let count = rows * depth * taps
        guard let base = bytes.baseAddress else { return [] }
        return [Float](unsafeUninitializedCapacity: count) { buffer, filled in
            if let start = buffer.baseAddress {
                ink_to_f32(base, dtype.kernelSource, count, start)
            }
            filled = count
        }
    }
}

extension DType {
    var kernelSource: ink_source {
        switch self {
        case .f32: INK_SOURCE_F32
        case .bf16: INK_SOURCE_BF16
        case .f16: INK_SOURCE_F16
        case .f64: INK_SOURCE_F64
        default: preconditionFailure("weights of type \(self) were let through")
        }
    }
}
