// Part of Inkstone. Licence: see LICENSE.

import CKernels

/// f32 activations in memory, without padding between rows.
public final class CPUValues: DeviceMatrix {
    /// Tokens or pixels.
    public let rows: Int
    /// Features or channels.
    public let columns: Int
    let buffer: PooledBuffer
    /// Partial sums for a following norm, `[sumBlocks, 2, columns]`, if a convolution computed them.
    ///
    /// Such values are not modified afterwards.
    let sums: PooledBuffer?
    let sumBlocks: Int

    /// Allocates values, or uses the memory of `buffer`.
    init(
        rows: Int, columns: Int, pool: BufferPool, sumBlocks: Int = 0,
        in buffer: PooledBuffer? = nil
    ) {
        self.rows = rows
        self.columns = columns
        self.sumBlocks = sumBlocks
        sums = sumBlocks == 0 ? nil : PooledBuffer(bytes: sumBlocks * 2 * columns * 4, pool: pool)
        self.buffer = buffer ?? PooledBuffer(bytes: rows * columns * 4, pool: pool)
    }

    var pointer: UnsafeMutablePointer<Float> {
        buffer.address.assumingMemoryBound(to: Float.self)
    }

    /// Calls `body` with the elements, which are valid only during the call.
    package func withNumbers<Result>(
        _ body: (UnsafeMutableBufferPointer<Float>) throws -> Result
    ) rethrows -> Result {
        try body(UnsafeMutableBufferPointer(start: pointer, count: rows * columns))
    }
}

/// Left-hand factor of a product: rows in the product's precision, padded with zeros.
public final class CPUOperand: DeviceMatrix {
    /// Tokens or pixels.
    public let rows: Int
    /// Features or channels.
    public let columns: Int
    /// Precision of the product.
    public let precision: Precision
    let buffer: PooledBuffer
    /// Elements from one row to the next.
    let stride: Int

    init(rows: Int, columns: Int, precision: Precision, pool: BufferPool) {
        self.rows = rows
        self.columns = columns
        self.precision = precision
        let unit = Int(INK_OPERAND_ALIGN)
        let width = precision.bytesPerWeight
        let extra = precision == .int8 ? Int(INK_INT8_ROW_EXTRA) : 0
        let lines = ((columns + unit - 1) / unit * unit * width + extra + 63) / 64
        // An odd number of cache lines: a power of two would map the rows to few cache sets.
        stride = (lines | 1) * 64 / width
        buffer = PooledBuffer(bytes: rows * stride * width, pool: pool)
    }

    var input: ink_operand { ink_operand(data: buffer.address, stride: stride) }

    var output: ink_output {
        ink_output(data: buffer.address, stride: stride, precision: precision.kernelValue)
    }
}

/// A weight matrix, packed in panels.
public final class CPUWeights: @unchecked Sendable {
    // Unchecked: never written after initialisation.
    let matrix: ink_matrix
    /// Width of the product.
    let columns: Int
    let isGated: Bool
    /// Memory occupied.
    package let bytes: Int
    /// Owned memory; `nil` if the panels are in a mapped file.
    private let panels: UnsafeMutableRawPointer?
    private let bias: UnsafeMutablePointer<Float>?
    private let owner: (any Sendable)?

    init(
        panels: UnsafeMutableRawPointer, bytes: Int, bias: UnsafeMutablePointer<Float>?,
        matrix: ink_matrix, isGated: Bool
    ) {
        self.panels = panels
        self.bytes = bytes
        self.bias = bias
        self.matrix = matrix
        self.isGated = isGated
        columns = isGated ? matrix.columns / 2 : matrix.columns
        owner = nil
    }

    /// Creates a matrix in memory that `owner` keeps alive.
    init(_ matrix: ink_matrix, bytes: Int, isGated: Bool, mappedBy owner: any Sendable) {
        panels = nil
        bias = nil
        self.bytes = bytes
        self.matrix = matrix
        self.isGated = isGated
        columns = isGated ? matrix.columns / 2 : matrix.columns
        self.owner = owner
    }

    deinit {
        panels?.deallocate()
        bias?.deallocate()
    }
}

/// f32 parameters in memory.
public final class CPUVector: @unchecked Sendable {
    // Unchecked: never written after initialisation.
    private let start: UnsafeMutablePointer<Float>
    let count: Int

    init(_ numbers: [Float]) {
        count = numbers.count
        start = .allocate(capacity: max(1, count))
        start.initialize(repeating: 0, count: max(1, count))
        for (index, number) in numbers.enumerated() { start[index] = number }
    }

    deinit { start.deallocate() }

    var pointer: UnsafePointer<Float> { UnsafePointer(start) }
}

extension Precision {
    var kernelValue: ink_precision {
        switch self {
        case .f32: INK_F32
        case .bf16: INK_BF16
        case .int8: INK_INT8
        }
    }
}
