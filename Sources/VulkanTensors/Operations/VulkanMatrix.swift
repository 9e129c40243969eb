// Part of Inkstone. Licence: see LICENSE.

public import Tensors

/// f32 activations on a device, without padding between rows.
public final class VulkanValues: DeviceMatrix {
    /// Tokens or pixels.
    public let rows: Int
    /// Features or channels.
    public let columns: Int
    let buffer: DeviceBuffer

    init(rows: Int, columns: Int, in buffer: DeviceBuffer) {
        self.rows = rows
        self.columns = columns
        self.buffer = buffer
    }

    var count: Int { rows * columns }
}

/// Left-hand factor of a product: rows in the product's precision, padded with zeros.
public final class VulkanOperand: DeviceMatrix {
    /// Tokens or pixels.
    public let rows: Int
    /// Features or channels.
    public let columns: Int
    /// Precision of the product; bf16 stands for f16 with a scale.
    let precision: Precision
    let buffer: DeviceBuffer
    /// A factor for each row, or one for all rows of an image; `nil` in f32.
    let scales: DeviceBuffer?
    /// Elements from one row to the next.
    let stride: Int

    init(
        rows: Int, columns: Int, precision: Precision, in buffer: DeviceBuffer,
        scales: DeviceBuffer? = nil
    ) {
        self.rows = rows
        self.columns = columns
        self.precision = precision
        self.buffer = buffer
        self.scales = scales
        stride = paddedRow(columns)
    }

    /// All memory of the operand.
    var buffers: [DeviceBuffer] { [buffer] + (scales.map { [$0] } ?? []) }

    /// The rows of an f32 operand whose width is a multiple of the alignment of rows.
    var values: VulkanValues {
        precondition(precision == .f32 && stride == columns, "rows with padding")
        return VulkanValues(rows: rows, columns: columns, in: buffer)
    }

    /// Bytes from the first row to row `index`.
    func offset(ofRow index: Int) -> Int { index * stride * precision.bytesPerWeight }
}

/// A weight matrix on a device: rows `[columns][taps][padded depth]` in its precision.
///
/// The rows of a gated matrix alternate between its two parts.
public final class VulkanWeights: Sendable {
    let buffer: DeviceBuffer
    /// A factor for each row; `nil` in f32.
    let scales: DeviceBuffer?
    let bias: DeviceBuffer?
    /// Rows, one for each column of the product before gating.
    let rows: Int
    let depth: Int
    let taps: Int
    let precision: Precision
    let isGated: Bool
    /// Whether buffer and scales are in the machine's memory, and are copied for each product.
    let isOnHost: Bool
    /// The submission that writes weights in the machine's memory.
    let writtenBy: UInt64

    init(
        buffer: DeviceBuffer, scales: DeviceBuffer?, bias: DeviceBuffer?, rows: Int, depth: Int,
        taps: Int, precision: Precision, isGated: Bool, isOnHost: Bool = false,
        writtenBy: UInt64 = 0
    ) {
        self.buffer = buffer
        self.scales = scales
        self.bias = bias
        self.rows = rows
        self.depth = depth
        self.taps = taps
        self.precision = precision
        self.isGated = isGated
        self.isOnHost = isOnHost
        self.writtenBy = writtenBy
    }

    /// Memory occupied.
    package var bytes: Int { buffer.bytes + (scales?.bytes ?? 0) + (bias?.bytes ?? 0) }
    /// Width of the product.
    var columns: Int { isGated ? rows / 2 : rows }
    /// Elements of a row.
    var stride: Int { taps * paddedRow(depth) }

    /// The same weights, in the machine's memory.
    func onHost(writtenBy submission: UInt64) -> VulkanWeights {
        VulkanWeights(
            buffer: buffer, scales: scales, bias: bias, rows: rows, depth: depth, taps: taps,
            precision: precision, isGated: isGated, isOnHost: true, writtenBy: submission)
    }

    /// The same rows as a matrix that is not gated.
    var ungated: VulkanWeights {
        guard isGated else { return self }
        return VulkanWeights(
            buffer: buffer, scales: scales, bias: bias, rows: rows, depth: depth, taps: taps,
            precision: precision, isGated: false, isOnHost: isOnHost, writtenBy: writtenBy)
    }
}

/// f32 parameters on a device.
public final class VulkanVector: Sendable {
    let buffer: DeviceBuffer
    let count: Int

    init(count: Int, in buffer: DeviceBuffer) {
        self.count = count
        self.buffer = buffer
    }
}
