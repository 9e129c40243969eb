// Part of Inkstone. Licence: see LICENSE.

import CKernels

extension CPUBackend {
    /// Runs a product and applies adapters to some of its rows.
    ///
    /// The down-projection reads the operand of the product: in int8 the rotated and quantised rows,
    /// with a `down` that is rotated and quantised the same way. Its result is scaled, rounded to bf16
    /// unless the product is in f32, and multiplied by `up` when the product's sums are complete.
    func run(
        _ call: inout ink_product, _ a: CPUOperand, _ weights: CPUWeights,
        _ runs: [AdapterRun<CPUBackend>]
    ) {
        if runs.isEmpty {
            kernels.pointee.product(threadPool, &call)
            return
        }
        var terms: [ink_adapter] = []
        var kept: [PooledBuffer] = []
        for run in runs {
            let adapter = run.adapter
            precondition(
                adapter.columns == weights.matrix.columns && adapter.depth == a.columns
                    && run.rows.lowerBound >= 0 && run.rows.upperBound <= a.rows,
                "adapter [\(adapter.columns), \(adapter.depth)] for rows \(run.rows)")
            if run.rows.isEmpty { continue }
            var term = ink_adapter()
            term.first = run.rows.lowerBound
            term.count = run.rows.count
            term.scale = run.scale
            term.gain = adapter.gain?.pointer
            if let fullRank = adapter.fullRank {
                let added = multiply(a, run.rows, fullRank)
                kept.append(added.buffer)
                term.addend = UnsafePointer(added.pointer)
                term.addend_stride = added.columns
            } else {
                term.addend = adapter.bias?.pointer
            }
            if let lowRank = adapter.lowRank {
                let t = scaled(
                    multiply(a, run.rows, lowRank.down), by: run.scale, precision: lowRank.precision
                )
                kept.append(t.buffer)
                term.t = t.input
                term.precision = lowRank.precision.kernelValue
                term.panels = UnsafeRawPointer(lowRank.up)
                term.table = UnsafePointer(lowRank.table)
            } else {
                term.t = ink_operand(data: a.buffer.address, stride: 0)
                term.precision = INK_F32
            }
            terms.append(term)
        }
        terms.withUnsafeBufferPointer { terms in
            call.adapters = terms.baseAddress
            call.adapter_count = terms.count
            kernels.pointee.product(threadPool, &call)
        }
        call.adapters = nil
        withExtendedLifetime((kept, runs)) {}
    }

    /// Multiplies some rows of an operand by a matrix of stacked layout.
    private func multiply(_ a: CPUOperand, _ rows: Range<Int>, _ weights: CPUWeights) -> CPUValues {
        check(a, weights)
        let result = makeValues(rows: rows.count, columns: weights.columns)
        let start = a.buffer.address + rows.lowerBound * a.stride * a.precision.bytesPerWeight
        var call = ink_product(
            a: ink_operand(data: start, stride: a.stride), rows: rows.count, b: weights.matrix,
            swiglu: 0, residual: nil, residual_stride: 0,
            out: ink_output(
                data: result.buffer.address, stride: weights.columns, precision: INK_F32),
            adapters: nil, adapter_count: 0)
        kernels.pointee.product(threadPool, &call)
        return result
    }

    private func scaled(_ x: CPUValues, by scale: Float, precision: Precision) -> CPUOperand {
        let result = CPUOperand(rows: x.rows, columns: x.columns, precision: precision, pool: pool)
        var call = ink_convert(
            x: x.pointer, from: INK_F32, rows: x.rows, columns: x.columns, stride: x.columns,
            scale: scale, out: result.output)
        kernels.pointee.convert(threadPool, &call)
        return result
    }
}
