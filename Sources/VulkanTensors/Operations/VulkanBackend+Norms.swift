// Part of Inkstone. Licence: see LICENSE.

public import Tensors

extension VulkanBackend {
    /// Operations of the elementwise kernel, by the value of its constant.
    enum Elementwise: UInt32, CaseIterable {
        case silu, relu, tanhLimit, tanhColumns, scale
    }

    /// See `Backend`.
    public func normalizeHeads(
        _ x: VulkanValues, columns: Range<Int>, weight: VulkanVector, epsilon: Float,
        rotary: RotaryTable<VulkanBackend>
    ) {
        let headDim = weight.count
        precondition(
            columns.upperBound <= x.columns && columns.count.isMultiple(of: headDim)
                && rotary.cosines.rows == x.rows && rotary.cosines.columns == headDim / 2,
            "head norm shapes")
        let heads = columns.count / headDim
        let (cosines, sines) = (rotary.cosines.buffer, rotary.sines.buffer)
        var push = PushBytes()
        push.add(x.buffer)
        push.add(weight.buffer)
        push.add(cosines)
        push.add(sines)
        push.add(guardRing.buffer, at: guardRing.offset)
        push.add(x.rows)
        push.add(x.columns)
        push.add(columns.lowerBound)
        push.add(heads)
        push.add(headDim)
        push.add(rotary.pairing == .adjacent ? 1 : 0)
        push.add(epsilon)
        dispatch(
            Kernel("head_norm"), push: push, groups: grid((x.rows * heads + 7) / 8),
            reads: [weight.buffer, cosines, sines], writes: [x.buffer], isGuarded: true)
    }

    /// See `Backend`.
    public func norm(
        _ x: VulkanValues, kind: NormKind, weight: VulkanVector?, epsilon: Float,
        scale: ModulationSlice<VulkanBackend>?, segments: Segments, precision: Precision
    ) -> VulkanOperand {
        precondition(segments.rows == x.rows && (weight?.count ?? x.columns) == x.columns, "norm")
        checkDepth(x.columns, precision)
        let result = makeOperand(rows: x.rows, columns: x.columns, precision: precision)
        let sequences = scale == nil ? nil : indices.sequences(segments, self)
        var push = PushBytes()
        push.add(x.buffer)
        push.add(weight?.buffer)
        push.add(scale?.values.buffer, at: (scale?.column ?? 0) * 4)
        push.add(sequences)
        push.add(guardRing.buffer, at: guardRing.offset)
        push.add(result.buffer)
        if let scales = result.scales { push.add(scales) }
        push.add(x.rows)
        push.add(x.columns)
        push.add(result.stride)
        push.add(stride(of: scale, segments))
        push.add(kind == .layer ? 1 : 0)
        push.add(0)
        push.add(epsilon)
        dispatch(
            Kernel(Self.normShader(precision)), push: push, groups: grid(x.rows),
            reads: [x.buffer, weight?.buffer, scale?.values.buffer, sequences],
            writes: result.buffers, isGuarded: true)
        return result
    }

    private static func normShader(_ precision: Precision) -> String {
        switch precision {
        case .f32: "norm_f32"
        case .bf16: "norm_f16"
        case .int8: "norm_int8"
        }
    }

    /// See `Backend`.
    public func addNorm(
        _ y: VulkanValues, to x: VulkanValues, weight: VulkanVector, epsilon: Float,
        gate: ModulationSlice<VulkanBackend>?, segments: Segments
    ) {
        precondition(
            x.rows == y.rows && x.columns == y.columns && segments.rows == x.rows
                && weight.count == x.columns, "addNorm shapes")
        let sequences = gate == nil ? nil : indices.sequences(segments, self)
        var push = PushBytes()
        push.add(x.buffer)
        push.add(y.buffer)
        push.add(weight.buffer)
        push.add(gate?.values.buffer, at: (gate?.column ?? 0) * 4)
        push.add(sequences)
        push.add(guardRing.buffer, at: guardRing.offset)
        push.add(x.rows)
        push.add(x.columns)
        push.add(stride(of: gate, segments))
        push.add(epsilon)
        dispatch(
            Kernel("add_norm"), push: push, groups: grid(x.rows),
            reads: [y.buffer, weight.buffer, gate?.values.buffer, sequences], writes: [x.buffer],
            isGuarded: true)
    }

    /// Elements from one sequence's modulation to the next; 0 if all sequences share one row.
    private func stride(of slice: ModulationSlice<VulkanBackend>?, _ segments: Segments) -> Int {
        guard let values = slice?.values else { return 0 }
        precondition(values.rows == 1 || values.rows == segments.count, "modulation rows")
        return values.rows == 1 ? 0 : values.columns
    }

    /// See `Backend`.
    public func silu(_ x: VulkanValues) {
        transform(x.buffer, .silu, count: x.count, columns: x.columns)
    }

    /// See `Backend`.
    public func relu(_ x: VulkanValues) {
        transform(x.buffer, .relu, count: x.count, columns: x.columns)
    }

    /// See `Backend`.
    public func tanhLimit(_ x: VulkanValues, limit: Float) {
        transform(x.buffer, .tanhLimit, count: x.count, columns: x.columns, parameter: limit)
    }

    /// See `Backend`.
    public func tanh(_ x: VulkanValues, columns: Range<Int>) {
        transform(x.buffer, .tanhColumns, count: x.count, columns: x.columns, range: columns)
    }

    /// Changes numbers in place.
    func transform(
        _ x: DeviceBuffer, _ operation: Elementwise, count: Int, columns: Int,
        range: Range<Int> = 0..<0, parameter: Float = 0
    ) {
        var push = PushBytes()
        push.add(x)
        push.add(count)
        push.add(columns)
        push.add(range.lowerBound)
        push.add(range.upperBound)
        push.add(parameter)
        dispatch(
            Kernel("elementwise", constants: [operation.rawValue]), push: push,
            groups: elementGrid(count), reads: [],
            writes: [x])
    }
}
