// Part of Inkstone. Licence: see LICENSE.

import CKernels

extension CPUBackend {
    /// See `Backend`.
    public func operand(_ x: CPUValues, precision: Precision) -> CPUOperand {
        let result = CPUOperand(rows: x.rows, columns: x.columns, precision: precision, pool: pool)
        checkDepth(result)
        var call = ink_convert(
            x: x.pointer, from: INK_F32, rows: x.rows, columns: x.columns, stride: x.columns,
            scale: 1, out: result.output)
        kernels.pointee.convert(threadPool, &call)
        return result
    }

    /// Quantises an f32 or bf16 operand to int8.
    private func quantised(_ x: CPUOperand) -> CPUOperand {
        let result = CPUOperand(rows: x.rows, columns: x.columns, precision: .int8, pool: pool)
        checkDepth(result)
        var call = ink_convert(
            x: x.buffer.address, from: x.precision.kernelValue, rows: x.rows, columns: x.columns,
            stride: x.stride, scale: 1, out: result.output)
        kernels.pointee.convert(threadPool, &call)
        return result
    }

    func checkDepth(_ operand: CPUOperand) {
        precondition(
            operand.precision != .int8 || operand.columns <= Int(INK_INT8_MAX_DEPTH),
            "int8 operand of \(operand.columns) columns")
    }

    /// See `Backend`.
    public func product(
        _ a: CPUOperand, _ weights: CPUWeights, adapters: [AdapterRun<CPUBackend>],
        adding residual: CPUValues?
    ) -> CPUValues {
        check(a, weights)
        precondition(!weights.isGated, "product with gated weights")
        let result = makeValues(rows: a.rows, columns: weights.columns)
        if let residual {
            precondition(residual.rows == a.rows && residual.columns == weights.columns, "residual")
        }
        var call = ink_product(
            a: a.input, rows: a.rows, b: weights.matrix, swiglu: 0,
            residual: residual.map { UnsafePointer($0.pointer) }, residual_stride: weights.columns,
            out: ink_output(
                data: result.buffer.address, stride: weights.columns, precision: INK_F32),
            adapters: nil, adapter_count: 0)
        run(&call, a, weights, adapters)
        return result
    }

    /// See `Backend`.
    public func swiglu(
        _ a: CPUOperand, _ weights: CPUWeights, adapters: [AdapterRun<CPUBackend>]
    ) -> CPUOperand {
        check(a, weights)
        precondition(weights.isGated, "SwiGLU with weights that are not gated")
        // The scale of an int8 row depends on the whole row, so quantisation is a second pass.
        let result = CPUOperand(
            rows: a.rows, columns: weights.columns,
            precision: a.precision == .int8 ? .bf16 : a.precision, pool: pool)
        var call = ink_product(
            a: a.input, rows: a.rows, b: weights.matrix, swiglu: 1, residual: nil,
            residual_stride: 0, out: result.output, adapters: nil, adapter_count: 0)
        run(&call, a, weights, adapters)
        return a.precision == .int8 ? quantised(result) : result
    }

    func check(_ a: CPUOperand, _ weights: CPUWeights) {
        precondition(
            a.columns == weights.matrix.depth
                && a.precision.kernelValue == weights.matrix.precision,
            "operand [.., \(a.columns)] \(a.precision) does not fit weights of depth"
                + " \(weights.matrix.depth)")
    }

    /// See `Backend`.
    public func attention(
        _ qkv: CPUValues, _ shape: AttentionShape, segments: Segments, queries: Segments
    ) -> CPUOperand {
        let wide = shape.heads * shape.headDim
        let narrow = shape.keyValueHeads * shape.headDim
        precondition(
            qkv.columns == wide + 2 * narrow && segments.rows == qkv.rows
                && queries.count == segments.count
                && (0..<queries.count).allSatisfy {
                    let (requested, all) = (queries.range($0).count, segments.range($0).count)
                    return shape.causal ? requested == all : requested <= all
                }, "attention shapes")
        let precision = shape.precision == .int8 ? sensitivePrecision : shape.precision
        // Without bf16 instructions f32 is faster, and more accurate.
        let arithmetic = precision == .bf16 && !attendsInBF16 ? Precision.f32 : precision
        let result = CPUOperand(
            rows: queries.rows, columns: wide, precision: precision, pool: pool)
        let bytes = kernels.pointee.attention_scratch(
            Int32(threads), qkv.rows, segments.count, shape.heads, shape.keyValueHeads,
            shape.headDim, arithmetic.kernelValue)
        let scratch = PooledBuffer(bytes: bytes, pool: pool)
        withOffsets(segments, queries) { offsets, queries in
            var call = ink_attention(
                q: qkv.pointer, k: qkv.pointer + wide, v: qkv.pointer + wide + narrow,
                stride: qkv.columns, heads: shape.heads, kv_heads: shape.keyValueHeads,
                head_dim: shape.headDim, offsets: offsets, queries: queries,
                segments: segments.count, causal: shape.causal ? 1 : 0,
                scale: 1 / Float(shape.headDim).squareRoot(),
                precision: arithmetic.kernelValue, out: result.output,
                scratch: scratch.address)
            kernels.pointee.attend(threadPool, &call)
        }
        return shape.precision == .int8 ? quantised(result) : result
    }
}
