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
        let lanes = self.lanes
        let panel = 2 * lanes
        guard let first = source.parts.first else { preconditionFailure("matrix without parts") }
        let depth = first.depth
        var taps = first.taps
        precondition(
            depth > 0 && source.parts.allSatisfy { $0.depth == depth && $0.taps == taps }, "depths")
        precondition(
            precision != .int8 || (taps == 1 && depth <= Int(INK_INT8_MAX_DEPTH)),
            "int8 weights of depth \(depth) with \(taps) taps")
        // Parts of different types are rare (a merged LoRA beside stored rows) and converted to f32.
        var parts = source.parts
        if source.layout == .winograd3x3, taps == 9, depth >= Self.winogradDepth {
            parts = parts.map(\.winogradWeights)
            taps = Int(INK_WINOGRAD_TAPS)
        } else if parts.contains(where: { $0.dtype != first.dtype }) {
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
            if precision == .int8 {
                kernels.pointee.pack_int8(threadPool, &pack)
            } else {
                ink_pack_rows(threadPool, &pack)
            }
        }
        // Rows may be in mapped files, which must stay mapped until they are packed.
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
}

extension StoredRows {
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
