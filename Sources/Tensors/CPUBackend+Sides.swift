// Part of Inkstone. Licence: see LICENSE.

import CKernels

extension CPUBackend {
    /// Runs a product with what adapters add to some of its rows.
    ///
    /// An adapter reads the very operand of the product: in int8 the rotated and quantised rows, with
    /// a `down` that is rotated and quantised alike. What that makes is scaled, rounded to bf16 where
    /// the product is not in f32, and multiplied by `up` where the product's sums are finished.
    func run(
        _ call: inout ink_product, _ a: CPUOperand, _ weights: CPUWeights,
        _ runs: [AdapterRun<CPUBackend>]
    ) {
        if runs.isEmpty {
            kernels.pointee.product(workers, &call)
            return
        }
        var sides: [ink_side] = []
        var kept: [PooledBuffer] = []
        for run in runs {
            let adapter = run.adapter
            precondition(
                adapter.columns == weights.matrix.columns && adapter.depth == a.columns
                    && run.rows.lowerBound >= 0 && run.rows.upperBound <= a.rows,
                "adapter [\(adapter.columns), \(adapter.depth)] for rows \(run.rows)")
            if run.rows.isEmpty { continue }
            var side = ink_side()
            side.first = run.rows.lowerBound
            side.count = run.rows.count
            side.scale = run.scale
            side.gain = adapter.gain?.pointer
            if let dense = adapter.dense {
                let added = thin(a, run.rows, dense)
                kept.append(added.buffer)
                side.addend = UnsafePointer(added.pointer)
                side.addend_stride = added.columns
            } else {
                side.addend = adapter.bias?.pointer
            }
            if let lowRank = adapter.lowRank {
                let t = scaled(
                    thin(a, run.rows, lowRank.down), by: run.scale, precision: lowRank.precision)
                kept.append(t.buffer)
                side.t = t.input
                side.precision = lowRank.precision.kernelValue
                side.panels = UnsafeRawPointer(lowRank.up)
                side.table = UnsafePointer(lowRank.table)
            } else {
                side.t = ink_operand(data: a.buffer.address, stride: 0)
                side.precision = INK_F32
            }
            sides.append(side)
        }
        sides.withUnsafeBufferPointer { sides in
            call.sides = sides.baseAddress
            call.side_count = sides.count
            kernels.pointee.product(workers, &call)
        }
        call.sides = nil
        withExtendedLifetime((kept, runs)) {}
    }

    /// Some rows of an operand times a matrix without gates.
    private func thin(_ a: CPUOperand, _ rows: Range<Int>, _ weights: CPUWeights) -> CPUValues {
        check(a, weights)
        let result = makeValues(rows: rows.count, columns: weights.columns)
        let start = a.buffer.address + rows.lowerBound * a.stride * a.precision.bytesPerWeight
        var call = ink_product(
            a: ink_operand(data: start, stride: a.stride), rows: rows.count, b: weights.matrix,
            gated: 0, residual: nil, residual_stride: 0,
            out: ink_output(
                data: result.buffer.address, stride: weights.columns, precision: INK_F32),
            sides: nil, side_count: 0)
        kernels.pointee.product(workers, &call)
        return result
    }

    private func scaled(_ x: CPUValues, by scale: Float, precision: Precision) -> CPUOperand {
        let result = CPUOperand(rows: x.rows, columns: x.columns, precision: precision, pool: pool)
        var call = ink_convert(
            x: x.pointer, from: INK_F32, rows: x.rows, columns: x.columns, stride: x.columns,
            scale: scale, out: result.output)
        kernels.pointee.convert(workers, &call)
        return result
    }
}
