// Part of Inkstone. Licence: see LICENSE.

public import Tensors

extension VulkanBackend {
    /// Bytes of f32 rows that are uploaded at a time.
    private static let uploadBytes = 64 << 20

    /// See `Backend`; the device rounds the weights as it does the rows that they are multiplied with.
    public func makeWeights(
        _ source: MatrixSource, precision: Precision, placement: WeightPlacement
    ) -> VulkanWeights {
        guard let first = source.parts.first else { preconditionFailure("matrix without parts") }
        let (depth, taps) = (first.depth, first.taps)
        precondition(
            depth > 0 && source.parts.allSatisfy { $0.depth == depth && $0.taps == taps }, "depths")
        precondition(
            precision != .int8 || (taps == 1 && depth <= longestInt8Row),
            "int8 weights of depth \(depth) with \(taps) taps")
        let isGated = source.layout == .gated
        let rows = source.parts.reduce(0) { $0 + $1.rows }
        precondition(source.bias == nil || (!isGated && source.bias?.count == rows), "bias")
        precondition(
            !isGated || (source.parts.count == 2 && source.parts[0].rows == source.parts[1].rows),
            "gated")
        let width = taps * paddedRow(depth)
        let isOnHost = placement == .host && device.hasOwnMemory
        precondition(!isOnHost || taps == 1, "convolution with weights on the host")
        func memory(_ bytes: Int) -> DeviceBuffer {
            isOnHost ? device.makePinnedBufferOrFail(bytes: bytes) : buffer(bytes: bytes)
        }
        let weights = VulkanWeights(
            buffer: memory(rows * width * precision.bytesPerWeight),
            scales: precision == .f32 ? nil : memory(rows * 4),
            bias: source.bias.map { upload($0) }, rows: rows, depth: depth, taps: taps,
            precision: precision, isGated: isGated)
        let stored = StackedRows(source.parts, isGated: isGated)
        let step = max(1, Self.uploadBytes / (4 * width))
        for start in stride(from: 0, to: rows, by: step) {
            let range = start..<min(rows, start + step)
            write(stored.padded(range, width: width / taps), range, to: weights)
        }
        return isOnHost ? streamed(weights) : weights
    }

    /// Writes f32 rows, padded, as rows of the weights.
    private func write(_ numbers: [Float], _ range: Range<Int>, to weights: VulkanWeights) {
        let width = weights.stride
        guard let scales = weights.scales else {
            device.recorder.upload(
                numbers, to: weights.buffer, at: range.lowerBound * width * 4)
            return
        }
        quantise(
            upload(numbers), rows: range.count, columns: width, stride: width, factor: 1,
            to: weights.buffer, at: range.lowerBound * width * weights.precision.bytesPerWeight,
            scales: scales, at: range.lowerBound * 4, weights.precision)
    }

    /// Returns weights whose memory is the machine's, after the last command that writes them.
    func streamed(_ weights: VulkanWeights) -> VulkanWeights {
        let weights = weights.onHost(writtenBy: device.recorder.latest)
        stream.register(weights)
        return weights
    }

    /// Returns weights in the device's memory: these, or a copy for the command that is recorded next.
    func onDevice(_ weights: VulkanWeights) -> VulkanWeights {
        weights.isOnHost ? stream.copy(weights) : weights
    }

    /// Rounds f32 rows to int8 or f16 with a scale for each row.
    func quantise(
        _ x: DeviceBuffer, rows: Int, columns: Int, stride: Int, factor: Float,
        to target: DeviceBuffer, at offset: Int = 0, scales: DeviceBuffer,
        at scaleOffset: Int = 0, _ precision: Precision
    ) {
        var push = PushBytes()
        push.add(x)
        push.add(target, at: offset)
        push.add(scales, at: scaleOffset)
        push.add(rows)
        push.add(columns)
        push.add(stride)
        push.add(paddedRow(columns))
        push.add(factor)
        dispatch(
            Kernel(precision == .int8 ? "operand_int8" : "operand_f16"), push: push,
            groups: grid(rows),
            reads: [x], writes: [target, scales])
    }
}

/// The rows of a matrix's parts, in the order of the product's columns.
private struct StackedRows {
    private let parts: [StoredRows]
    private let isGated: Bool

    init(_ parts: [StoredRows], isGated: Bool) {
        self.parts = parts
        self.isGated = isGated
    }

    /// Returns rows as f32 `[rows][taps][width]`, padded with zeros.
    func padded(_ range: Range<Int>, width: Int) -> [Float] {
        let (depth, taps) = (parts[0].depth, parts[0].taps)
        var numbers = [Float](repeating: 0, count: range.count * taps * width)
        var first = 0
        for (index, part) in parts.enumerated() {
            // Row r of the part is row `first + r` of the matrix, or `2 r + index` of a gated one.
            let own =
                isGated
                ? ((range.lowerBound - index + 1) / 2)..<((range.upperBound - index + 1) / 2)
                : (range.lowerBound - first)..<(range.upperBound - first)
            let rows = own.clamped(to: 0..<part.rows)
            let values = part.floats(rows)
            for (offset, row) in rows.enumerated() {
                let place = (isGated ? 2 * row + index : first + row) - range.lowerBound
                for tap in 0..<taps {
                    let (to, from) = ((place * taps + tap) * width, offset * depth * taps + tap)
                    for k in 0..<depth { numbers[to + k] = values[from + k * taps] }
                }
            }
            first += part.rows
        }
        return numbers
    }
}

extension StoredRows {
    /// Returns some rows as f32.
    fileprivate func floats(_ range: Range<Int>) -> [Float] {
        let width = depth * taps * dtype.byteWidth
        return StoredRows(
            bytes: UnsafeRawBufferPointer(
                rebasing: bytes[(range.lowerBound * width)..<(range.upperBound * width)]),
            dtype: dtype, rows: range.count, depth: depth, taps: taps, owner: self
        ).floats()
    }
}
