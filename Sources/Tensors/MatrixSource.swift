// Part of Inkstone. Licence: see LICENSE.

/// Rows of a weight matrix in memory or in a mapped file.
public struct StoredRows: @unchecked Sendable {
    // Unchecked: `bytes` is read-only and lives as long as `owner`.

    /// Row-major elements: `[rows, depth]`, or `[rows, depth, taps]` for a convolution.
    public let bytes: UnsafeRawBufferPointer
    /// Element type: F32, BF16, F16 or F64.
    public let dtype: DType
    /// Output features.
    public let rows: Int
    /// Input features.
    public let depth: Int
    /// Kernel height times width; 1 for a product.
    public let taps: Int
    /// Keeps `bytes` valid.
    private let owner: any Sendable

    /// Refers to memory that `owner` keeps alive: exactly `rows * depth * taps` elements.
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

    /// Copies rows of f32 elements.
    public init(_ numbers: [Float], rows: Int, depth: Int, taps: Int = 1) {
        precondition(numbers.count == rows * depth * taps, "size of stored rows")
        self.init(rows: rows, depth: depth, taps: taps) { _ = $0.initialize(from: numbers) }
    }

    /// Creates rows of f32 elements, all of which `fill` initialises.
    public init(
        rows: Int, depth: Int, taps: Int = 1, fill: (UnsafeMutableBufferPointer<Float>) -> Void
    ) {
        let box = FloatBox(count: rows * depth * taps, fill)
        self.init(
            bytes: UnsafeRawBufferPointer(box.buffer), dtype: .f32, rows: rows, depth: depth,
            taps: taps, owner: box)
    }
}

/// f32 elements at a fixed address.
private final class FloatBox: @unchecked Sendable {
    // Unchecked: never written after initialisation.
    let buffer: UnsafeMutableBufferPointer<Float>

    init(count: Int, _ fill: (UnsafeMutableBufferPointer<Float>) -> Void) {
        buffer = .allocate(capacity: count)
        fill(buffer)
    }

    deinit { buffer.deallocate() }
}

/// The stored parts of a weight matrix, for a backend to pack.
public struct MatrixSource: Sendable {
    /// Arrangement of the parts in the product's columns.
    ///
    /// The raw value is the name in files of packed weights.
    public enum Layout: String, Sendable {
        /// Stacked: the product's columns are the parts' rows in order.
        case stacked
        /// Two parts of equal height: the product yields `silu(first) * second`.
        case gated
        /// As `stacked`, for 3 x 3 convolutions of stride 1, which a device may compute by Winograd's
        /// F(2x2, 3x3).
        case winograd3x3 = "dense"
    }

    /// Stored matrices of equal depth.
    public var parts: [StoredRows]
    /// Arrangement of the parts.
    public var layout: Layout
    /// Added to the product, one value per row.
    public var bias: [Float]?

    /// Creates a matrix from `parts`.
    public init(_ parts: [StoredRows], layout: Layout = .stacked, bias: [Float]? = nil) {
        self.parts = parts
        self.layout = layout
        self.bias = bias
    }
}
