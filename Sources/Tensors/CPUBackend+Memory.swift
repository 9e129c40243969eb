// Part of Inkstone. Licence: see LICENSE.

import CKernels

extension CPUBackend {
    /// See `Backend`.
    public func makeValues(rows: Int, columns: Int) -> CPUValues {
        CPUValues(rows: rows, columns: columns, pool: pool)
    }

    /// See `Backend`.
    public func upload(_ numbers: [Float], rows: Int, columns: Int) -> CPUValues {
        precondition(numbers.count == rows * columns, "upload: \(numbers.count) numbers")
        let values = makeValues(rows: rows, columns: columns)
        values.withNumbers { _ = $0.update(from: numbers) }
        return values
    }

    /// See `Backend`.
    public func download(_ values: CPUValues) -> [Float] {
        values.withNumbers { Array($0) }
    }

    /// See `Backend`.
    public func makeVector(_ numbers: [Float]) -> CPUVector { CPUVector(numbers) }

    /// See `Backend`.
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

    /// See `Backend`.
    public func addRows(
        _ range: Range<Int>, of source: CPUValues, scale: Float, to target: CPUValues, at row: Int
    ) {
        precondition(
            source.columns == target.columns && range.upperBound <= source.rows
                && row + range.count <= target.rows && source !== target, "addRows: shapes")
        let columns = source.columns
        var sum = ScaledSum(
            x: target.pointer + row * columns,
            y: UnsafePointer(source.pointer + range.lowerBound * columns),
            count: range.count * columns, scale: scale)
        withUnsafeMutablePointer(to: &sum) { sum in
            let tasks = (sum.pointee.count + ScaledSum.task - 1) / ScaledSum.task
            ink_pool_run(
                threadPool, tasks,
                { context, index, _ in
                    context?.assumingMemoryBound(to: ScaledSum.self).pointee.run(task: index)
                }, sum)
        }
    }

    /// See `Backend`.
    public func makeWeights(
        _ source: MatrixSource, precision: Precision, placement: WeightPlacement
    ) -> CPUWeights {
        let parts = packable(source, precision: precision)
        let (depth, taps) = (parts[0].depth, parts[0].taps)
        let isGated = source.layout == .gated
        let order = panelOrder(parts: parts.map(\.rows), isGated: isGated)
        let features = parts.flatMap(\.rowPointers)
        precondition(
            source.bias == nil || (!isGated && source.bias?.count == features.count), "bias")
        let bytes = ink_panel_bytes(order.count, depth, taps, precision.kernelValue)
        let panels = UnsafeMutableRawPointer.allocate(byteCount: max(64, bytes), alignment: 64)
        order.map { $0 < 0 ? nil : features[$0] }.withUnsafeBufferPointer { rows in
            guard let start = rows.baseAddress else { return }
            var pack = ink_pack(
                rows: start, row_count: rows.count, source: parts[0].dtype.kernelSource,
                depth: depth, taps: taps, panel_width: 2 * lanes,
                precision: precision.kernelValue, destination: panels)
            kernels.pointee.pack(threadPool, &pack)
        }
        // Rows may be in mapped files, which must stay mapped until they are packed.
        withExtendedLifetime(parts) {}
        let bias = source.bias.map { bias in
            let memory = UnsafeMutablePointer<Float>.allocate(capacity: order.count)
            for (column, feature) in order.enumerated() {
                memory[column] = feature < 0 ? 0 : bias[feature]
            }
            return memory
        }
        let matrix = ink_matrix(
            panels: panels, bias: bias, columns: features.count, depth: depth, taps: taps,
            precision: precision.kernelValue)
        return CPUWeights(
            panels: panels, bytes: bytes, bias: bias, matrix: matrix, isGated: isGated)
    }

    /// Returns the parts of a matrix in one element type, transformed if they are for Winograd.
    private func packable(_ source: MatrixSource, precision: Precision) -> [StoredRows] {
        guard let first = source.parts.first else { preconditionFailure("matrix without parts") }
        let (depth, taps) = (first.depth, first.taps)
        precondition(
            depth > 0 && source.parts.allSatisfy { $0.depth == depth && $0.taps == taps }, "depths")
        precondition(
            precision != .int8 || (taps == 1 && depth <= Int(INK_INT8_MAX_DEPTH)),
            "int8 weights of depth \(depth) with \(taps) taps")
        if source.layout == .winograd3x3, taps == 9, depth >= Self.winogradDepth {
            return source.parts.map(\.winogradWeights)
        }
        guard source.parts.contains(where: { $0.dtype != first.dtype }) else { return source.parts }
        // Parts of different types are rare: a merged LoRA beside stored rows.
        return source.parts.map {
            StoredRows($0.floats(), rows: $0.rows, depth: depth, taps: taps)
        }
    }

    /// Returns the output feature of each column of the panels; -1 for padding.
    ///
    /// In a gated matrix, each panel has `lanes` columns of the first part, then `lanes` of the second.
    func panelOrder(parts: [Int], isGated: Bool) -> [Int] {
        var order: [Int] = []
        if isGated {
            precondition(parts.count == 2 && parts[0] == parts[1], "gated")
            for start in stride(from: 0, to: parts[0], by: lanes) {
                for part in 0..<2 {
                    for index in start..<(start + lanes) {
                        order.append(index < parts[0] ? part * parts[0] + index : -1)
                    }
                }
            }
        } else {
            order = Array(0..<parts.reduce(0, +))
            while !order.count.isMultiple(of: 2 * lanes) { order.append(-1) }
        }
        return order
    }
}

/// `x += scale * y`, in tasks of equal length.
private struct ScaledSum {
    /// Numbers of a task.
    static let task = 1 << 14
    let x: UnsafeMutablePointer<Float>
    let y: UnsafePointer<Float>
    let count: Int
    let scale: Float

    func run(task index: Int) {
        for at in (index * Self.task)..<min(count, (index + 1) * Self.task) {
            x[at] += scale * y[at]
        }
    }
}

extension StoredRows {
    /// The address of each row.
    fileprivate var rowPointers: [UnsafeRawPointer?] {
        let bytes = depth * taps * dtype.byteWidth
        return (0..<rows).map { row in self.bytes.baseAddress.map { $0 + row * bytes } }
    }

    /// 3 x 3 kernels transformed for Winograd's F(2x2, 3x3): 4 x 4 weights each.
    fileprivate var winogradWeights: StoredRows {
        let kernels = floats()
        let count = rows * depth
        let sums = [Float](unsafeUninitializedCapacity: count * Int(INK_WINOGRAD_TAPS)) {
            buffer, filled in
            if let start = buffer.baseAddress { ink_winograd_weights(kernels, count, start) }
            filled = count * Int(INK_WINOGRAD_TAPS)
        }
        return StoredRows(sums, rows: rows, depth: depth, taps: Int(INK_WINOGRAD_TAPS))
    }

    /// Returns the elements as f32.
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
        default: preconditionFailure("weights of type \(self)")
        }
    }
}
