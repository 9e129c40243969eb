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
    public func makeWeights(_ source: MatrixSource, precision: Precision) -> CPUWeights {
        let parts = packableParts(of: source, precision)
        let isGated = source.layout == .gated
        precondition(!isGated || source.bias == nil, "gated")
        let (rows, columns) = isGated ? gatedRows(parts) : stackedRows(parts)
        let (depth, taps) = (parts[0].depth, parts[0].taps)
        let bytes = ink_panel_bytes(rows.count, depth, taps, precision.kernelValue)
        let panels = UnsafeMutableRawPointer.allocate(byteCount: max(64, bytes), alignment: 64)
        pack(rows, of: parts[0], precision, into: panels)
        // Rows may be in mapped files, which must stay mapped until they are packed.
        withExtendedLifetime(parts) {}
        var bias: UnsafeMutablePointer<Float>?
        if let numbers = source.bias {
            let memory = UnsafeMutablePointer<Float>.allocate(capacity: rows.count)
            memory.initialize(repeating: 0, count: rows.count)
            for (index, number) in numbers.enumerated() { memory[index] = number }
            bias = memory
        }
        let matrix = ink_matrix(
            panels: panels, bias: bias, columns: columns, depth: depth, taps: taps,
            precision: precision.kernelValue)
        return CPUWeights(
            panels: panels, bytes: bytes, bias: bias, matrix: matrix, isGated: isGated)
    }

    /// The parts of a matrix in the form that is packed: transformed for Winograd, or of one type.
    private func packableParts(of source: MatrixSource, _ precision: Precision) -> [StoredRows] {
        let parts = source.parts
        guard let first = parts.first else { preconditionFailure("matrix without parts") }
        let (depth, taps) = (first.depth, first.taps)
        precondition(
            depth > 0 && parts.allSatisfy { $0.depth == depth && $0.taps == taps }, "depths")
        precondition(
            precision != .int8 || (taps == 1 && depth <= Int(INK_INT8_MAX_DEPTH)),
            "int8 weights of depth \(depth) with \(taps) taps")
        if source.layout == .winograd3x3, taps == 9, depth >= Self.winogradDepth {
            return parts.map(\.winogradWeights)
        }
        // Parts of different types are rare (a merged LoRA beside stored rows) and converted to f32.
        guard parts.contains(where: { $0.dtype != first.dtype }) else { return parts }
        return parts.map { StoredRows($0.floats(), rows: $0.rows, depth: depth, taps: taps) }
    }

    /// Pointers to all rows, padded with `nil` to whole panels, and the number of columns.
    private func stackedRows(_ parts: [StoredRows]) -> ([UnsafeRawPointer?], columns: Int) {
        var rows = parts.flatMap { part in (0..<part.rows).map { part.row($0) } }
        let columns = rows.count
        while !rows.count.isMultiple(of: 2 * lanes) { rows.append(nil) }
        return (rows, columns)
    }

    /// Pointers to the rows of two parts, `lanes` of each in turn, and the number of columns.
    private func gatedRows(_ parts: [StoredRows]) -> ([UnsafeRawPointer?], columns: Int) {
        precondition(parts.count == 2 && parts[0].rows == parts[1].rows, "gated")
        var rows: [UnsafeRawPointer?] = []
        for start in stride(from: 0, to: parts[0].rows, by: lanes) {
            for part in parts {
                for lane in 0..<lanes { rows.append(part.row(start + lane)) }
            }
        }
        return (rows, 2 * parts[0].rows)
    }

    /// Packs rows of the form of `part` into panels.
    private func pack(
        _ rows: [UnsafeRawPointer?], of part: StoredRows, _ precision: Precision,
        into panels: UnsafeMutableRawPointer
    ) {
        rows.withUnsafeBufferPointer { pointers in
            guard let start = pointers.baseAddress else { return }
            var pack = ink_pack(
                rows: start, row_count: pointers.count, source: part.dtype.kernelSource,
                depth: part.depth, taps: part.taps, panel_width: 2 * lanes,
                precision: precision.kernelValue, destination: panels)
            if precision == .int8 {
                kernels.pointee.pack_int8(threadPool, &pack)
            } else {
                ink_pack_rows(threadPool, &pack)
            }
        }
    }
}

extension StoredRows {
    /// The elements of a row; `nil` past the last one.
    fileprivate func row(_ index: Int) -> UnsafeRawPointer? {
        guard index < rows else { return nil }
        return bytes.baseAddress.map { $0 + index * depth * taps * dtype.byteWidth }
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
