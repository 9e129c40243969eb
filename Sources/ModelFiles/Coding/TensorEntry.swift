// Part of Inkstone. Licence: see LICENSE.

public import Tensors

/// Type, shape and position of a tensor in a safetensors file.
public struct TensorEntry: Sendable, Equatable {
    /// Type of its numbers.
    public let dtype: DType
    /// Its dimensions, slowest first; empty for a single number.
    public let shape: [Int]
    /// Its bytes, counted from the start of the file.
    public let byteRange: Range<Int>

    /// Creates an entry whose range has exactly the size of type and shape.
    init(dtype: DType, shape: [Int], byteRange: Range<Int>) {
        self.dtype = dtype
        self.shape = shape
        self.byteRange = byteRange
    }

    /// Maximum number of dimensions of a tensor.
    static let rankLimit = 8

    /// Bytes of a tensor, or `nil` for a negative dimension or a product that overflows.
    ///
    /// The product of the dimensions other than zero counts: then that of any of them can be computed,
    /// also where one beside them is empty.
    static func byteCount(dtype: DType, shape: [Int]) -> Int? {
        var count = dtype.byteWidth
        for dimension in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: max(1, dimension))
            guard dimension >= 0, !overflow else { return nil }
            count = product
        }
        return shape.contains(0) ? 0 : count
    }
}
