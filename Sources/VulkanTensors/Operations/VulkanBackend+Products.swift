// Part of Inkstone. Licence: see LICENSE.

public import Tensors

extension VulkanBackend {
    /// See `Backend`.
    public func operand(_ x: VulkanValues, precision: Precision) -> VulkanOperand {
        operand(
            x.buffer, rows: x.rows, columns: x.columns, stride: x.columns, factor: 1,
            precision: precision)
    }

    /// Converts f32 rows, multiplied by a factor, to an operand.
    ///
    /// `stride` is the numbers from one row to the next; in f32 it is the number of columns.
    func operand(
        _ x: DeviceBuffer, rows: Int, columns: Int, stride: Int, factor: Float,
        precision: Precision
    ) -> VulkanOperand {
        checkDepth(columns, precision)
        let result = makeOperand(rows: rows, columns: columns, precision: precision)
        if let scales = result.scales {
            quantise(
                x, rows: rows, columns: columns, stride: stride, factor: factor,
                to: result.buffer, scales: scales, precision)
            return result
        }
        precondition(stride == columns, "f32 operand of rows with padding")
        var push = PushBytes()
        push.add(x)
        push.add(result.buffer)
        push.add(rows)
        push.add(columns)
        push.add(result.stride)
        push.add(factor)
        dispatch(
            Kernel("operand_f32"), push: push, groups: elementGrid(rows * result.stride),
            reads: [x],
            writes: [result.buffer])
        return result
    }

    func checkDepth(_ columns: Int, _ precision: Precision) {
        precondition(
            precision != .int8 || columns <= longestInt8Row, "int8 operand of \(columns) columns")
    }

    /// Rounds an f32 operand to a precision.
    func rounded(_ x: VulkanOperand, _ precision: Precision) -> VulkanOperand {
        guard precision != .f32 else { return x }
        return operand(
            x.buffer, rows: x.rows, columns: x.columns, stride: x.stride, factor: 1,
            precision: precision)
    }

    /// Allocates an operand with unspecified content.
    func makeOperand(rows: Int, columns: Int, precision: Precision) -> VulkanOperand {
        VulkanOperand(
            rows: rows, columns: columns, precision: precision,
            in: buffer(bytes: rows * paddedRow(columns) * precision.bytesPerWeight),
            scales: precision == .f32 ? nil : buffer(bytes: rows * 4))
    }

    /// See `Backend`.
    public func product(
        _ a: VulkanOperand, _ weights: VulkanWeights, adapters: [AdapterRun<VulkanBackend>],
        adding residual: VulkanValues?
    ) -> VulkanValues {
        precondition(!weights.isGated, "product with gated weights")
        if let residual {
            precondition(residual.rows == a.rows && residual.columns == weights.columns, "residual")
        }
        let result = makeValues(rows: a.rows, columns: weights.columns)
        complete(
            a, weights, adapters, residual: residual?.buffer, to: result.buffer,
            stride: result.columns)
        return result
    }

    /// See `Backend`.
    public func swiglu(
        _ a: VulkanOperand, _ weights: VulkanWeights, adapters: [AdapterRun<VulkanBackend>]
    ) -> VulkanOperand {
        // The scale of a row depends on the whole row, so rounding is a second pass.
        rounded(gated(a, weights, adapters), a.precision)
    }

    /// Returns a SwiGLU product as an f32 operand.
    func gated(
        _ a: VulkanOperand, _ weights: VulkanWeights, _ adapters: [AdapterRun<VulkanBackend>]
    ) -> VulkanOperand {
        precondition(weights.isGated, "SwiGLU with weights that are not gated")
        let result = makeOperand(rows: a.rows, columns: weights.columns, precision: .f32)
        complete(a, weights, adapters, residual: nil, to: result.buffer, stride: result.stride)
        return result
    }

    /// Multiplies, with adapters.
    private func complete(
        _ a: VulkanOperand, _ weights: VulkanWeights, _ adapters: [AdapterRun<VulkanBackend>],
        residual: DeviceBuffer?, to target: DeviceBuffer, stride: Int
    ) {
        precondition(
            a.columns == weights.depth && weights.taps == 1 && a.precision == weights.precision,
            "operand [.., \(a.columns)] \(a.precision) does not fit weights of depth"
                + " \(weights.depth)")
        let runs = adapters.filter { !$0.rows.isEmpty }
        if runs.contains(where: { $0.adapter.gain != nil }) {
            let sums = plainSums(a, weights)
            finish(
                sums, rows: a.rows, terms: adapterTerms(of: sums, a, weights, runs), weights,
                residual: residual, to: target, stride: stride)
            return
        }
        multiply(
            ProductArguments(
                a: a, weights: weights, rows: a.rows, residual: residual,
                addend: runs.isEmpty ? nil : adapterTerms(of: nil, a, weights, runs),
                target: target, stride: stride))
    }

    /// Computes `a · weights + addend + bias + residual` for some rows of `a`, gated if the weights are.
    func multiply(_ product: ProductArguments) {
        var product = product
        let weights = onDevice(product.weights)
        product.weights = weights
        let kernel = kernel(
            weights.isGated ? .gated : .plain, weights.precision, rows: product.rows)
        dispatch(
            kernel.kernel, push: product.push,
            groups: kernel.groups(rows: product.rows, columns: weights.rows),
            reads: product.reads, writes: [product.target],
            work: kernel.work(rows: product.rows, product.weights))
    }
}
