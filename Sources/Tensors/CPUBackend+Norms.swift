// Part of Inkstone. Licence: see LICENSE.

import CKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension CPUBackend {
    /// See `Backend`.
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
        kernels.pointee.head_norm(threadPool, &call)
    }

    /// See `Backend`.
    public func norm(
        _ x: CPUValues, kind: NormKind, weight: CPUVector?, epsilon: Float,
        scale: ModulationSlice<CPUBackend>?, segments: Segments, precision: Precision
    ) -> CPUOperand {
        precondition(segments.rows == x.rows && (weight?.count ?? x.columns) == x.columns, "norm")
        let result = CPUOperand(rows: x.rows, columns: x.columns, precision: precision, pool: pool)
        checkDepth(result)
        withOffsets(segments) { offsets in
            var call = ink_norm(
                x: x.pointer, rows: x.rows, dim: x.columns, centred: kind == .layer ? 1 : 0,
                weight: weight?.pointer, epsilon: epsilon,
                scale: scale.map { UnsafePointer($0.values.pointer + $0.column) },
                scale_stride: stride(of: scale, segments), offsets: offsets,
                segments: segments.count, out: result.output, non_finite: guardSlot)
            kernels.pointee.norm(threadPool, &call)
        }
        return result
    }

    /// See `Backend`.
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
                gate_stride: stride(of: gate, segments), offsets: offsets,
                segments: segments.count, non_finite: guardSlot)
            kernels.pointee.add_norm(threadPool, &call)
        }
    }

    /// See `Backend`.
    public func silu(_ x: CPUValues) {
        kernels.pointee.silu(x.pointer, x.rows * x.columns)
    }

    /// See `Backend`.
    public func relu(_ x: CPUValues) {
        for index in 0..<(x.rows * x.columns) {
            // Not the maximum: NaN propagates.
            x.pointer[index] = x.pointer[index] < 0 ? 0 : x.pointer[index]
        }
    }

    /// See `Backend`.
    public func tanhLimit(_ x: CPUValues, limit: Float) {
        for index in 0..<(x.rows * x.columns) {
            x.pointer[index] = limit * tanhf(x.pointer[index] / limit)
        }
    }

    /// See `Backend`.
    public func tanh(_ x: CPUValues, columns: Range<Int>) {
        for row in 0..<x.rows {
            for column in columns {
                let at = row * x.columns + column
                x.pointer[at] = tanhf(x.pointer[at])
            }
        }
    }

    /// Elements from one sequence's modulation to the next; 0 if all sequences share one row.
    private func stride(of slice: ModulationSlice<CPUBackend>?, _ segments: Segments) -> Int {
        guard let values = slice?.values else { return 0 }
        precondition(values.rows == 1 || values.rows == segments.count, "modulation rows")
        return values.rows == 1 ? 0 : values.columns
    }

    /// Calls `body` with the offsets of segments.
    func withOffsets(_ segments: Segments, _ body: (UnsafePointer<Int>) -> Void) {
        segments.offsets.withUnsafeBufferPointer { buffer in
            if let start = buffer.baseAddress { body(start) }
        }
    }

    /// Calls `body` with the offsets of both.
    func withOffsets(
        _ first: Segments, _ second: Segments,
        _ body: (UnsafePointer<Int>, UnsafePointer<Int>) -> Void
    ) {
        withOffsets(first) { one in withOffsets(second) { two in body(one, two) } }
    }
}
