// Part of Inkstone. Licence: see LICENSE.

/// Rows of a weight matrix as they lie in memory or in a mapped file.
public struct StoredRows: @unchecked Sendable {
    // Unchecked: `bytes` is read-only and lives as long as `owner`.

    /// Row-major numbers: `[rows, depth]`, or `[rows, depth, taps]` for a convolution.
    public let bytes: UnsafeRawBufferPointer
    /// Type of the numbers: F32, BF16, F16 or F64.
    public let dtype: DType
    /// Output features.
    public let rows: Int
    /// Input features.
    public let depth: Int
    /// Kernel height times width; 1 for a product.
    public let taps: Int
    /// Keeps `bytes` valid.
    private let owner: any Sendable

    /// Describes memory that `owner` keeps alive.
    ///
    /// `bytes` must hold exactly `rows * depth * taps` numbers.
    public init(
        bytes: UnsafeRawBufferPointer, dtype: DType, rows: Int, depth: Int, taps: Int = 1,
        owner: any Sendable
    ) {
        precondition(bytes.count == rows * depth * taps * dtype.byteWidth, "size of stored rows")
        self.bytes = bytes
        self.dtype = dtype
        self.rows = rows
        self.depth = depth
        self.taps = taps
        self.owner = owner
    }

    /// Rows of f32 numbers, copied.
    public init(_ numbers: [Float], rows: Int, depth: Int, taps: Int = 1) {
        precondition(numbers.count == rows * depth * taps, "size of stored rows")
        self.init(rows: rows, depth: depth, taps: taps) { _ = $0.initialize(from: numbers) }
    }

    /// Rows of f32 numbers that `fill` writes, all of them.
    public init(
        rows: Int, depth: Int, taps: Int = 1, fill: (UnsafeMutableBufferPointer<Float>) -> Void
    ) {
        let box = FloatBox(count: rows * depth * taps, fill)
        self.init(
            bytes: UnsafeRawBufferPointer(box.buffer), dtype: .f32, rows: rows, depth: depth,
            taps: taps, owner: box)
    }
}

/// Numbers at a fixed address.
private final class FloatBox: @unchecked Sendable {
    // Unchecked: never written after initialisation.
    let buffer: UnsafeMutableBufferPointer<Float>

    init(count: Int, _ fill: (UnsafeMutableBufferPointer<Float>) -> Void) {
        buffer = .allocate(capacity: count)
        fill(buffer)
    }

    deinit { buffer.deallocate() }
}

/// What a backend turns into its own form of a weight matrix.
public struct MatrixSource: Sendable {
    /// How the parts become columns of the product.
    ///
    /// The raw value is the name in files of packed weights.
    public enum Layout: String, Sendable {
        /// One below the other: the product's columns are the parts' rows in order.
        case stacked
        /// Two parts of equal height: the product yields `silu(first) * second`.
        case gated
        /// As `stacked`, for 3 x 3 convolutions of stride 1, which a device may compute by Winograd's
        /// F(2x2, 3x3).
        case winograd3x3 = "dense"
    }

    /// Stored matrices of equal depth.
    public var parts: [StoredRows]
    /// How the parts become columns.
    public var layout: Layout
    /// Added to the product, one value a row.
    public var bias: [Float]?

    /// A matrix made of `parts`.
    public init(_ parts: [StoredRows], layout: Layout = .stacked, bias: [Float]? = nil) {
        self.parts = parts
        self.layout = layout
        self.bias = bias
    }
}
