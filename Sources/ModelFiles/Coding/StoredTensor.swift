// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Tensors

/// A tensor in a file, which it keeps mapped.
public struct StoredTensor: @unchecked Sendable {
    // Unchecked: `bytes` is never written, and `owner` keeps it valid.

    /// Its name.
    public let name: String
    /// Type of its numbers; F32 for blocks and for bytes with a scale.
    public let dtype: DType
    /// Its dimensions, slowest first; empty for a single number.
    public let shape: [Int]
    /// Its numbers, row-major and little-endian; valid while a copy of this value lives.
    ///
    /// The address may be unaligned, as in old files. With a `coding`, these are the coded bytes of
    /// this tensor, and possibly of others that it was stored with.
    public let bytes: UnsafeRawBufferPointer
    /// Decodes `bytes`, unless the numbers are stored individually.
    package let coding: (any TensorCoding)?

    /// Index of the tensor's first number among those of the coding.
    private let first: Int
    private let owner: any Sendable

    /// Describes memory that `owner` keeps alive and that is never written.
    ///
    /// `bytes` must have exactly the size of type and shape.
    public init(
        name: String, dtype: DType, shape: [Int], bytes: UnsafeRawBufferPointer,
        owner: any Sendable
    ) {
        precondition(
            TensorEntry.byteCount(dtype: dtype, shape: shape) == bytes.count,
            "bytes of a stored tensor")
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
        self.owner = owner
        coding = nil
        first = 0
    }

    /// Describes numbers that `coding` decodes from `bytes`.
    ///
    /// `coding` must find all numbers of the shape, from number `first` on, in `bytes`.
    init(
        name: String, shape: [Int], coding: any TensorCoding, first: Int = 0,
        bytes: UnsafeRawBufferPointer, owner: any Sendable
    ) {
        self.name = name
        dtype = .f32
        self.shape = shape
        self.coding = coding
        self.first = first
        self.bytes = bytes
        self.owner = owner
    }

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }

    /// The same numbers with another name and another shape of the same size.
    func renamed(_ name: String, shape: [Int]? = nil) -> StoredTensor {
        let shape = shape ?? self.shape
        precondition(shape.reduce(1, *) == count, "shape of a renamed tensor")
        guard let coding else {
            return StoredTensor(name: name, dtype: dtype, shape: shape, bytes: bytes, owner: owner)
        }
        return StoredTensor(
            name: name, shape: shape, coding: coding, first: first, bytes: bytes, owner: owner)
    }

    /// The same bytes with another coding.
    func recoded(_ coding: any TensorCoding, shape: [Int]) -> StoredTensor {
        StoredTensor(name: name, shape: shape, coding: coding, bytes: bytes, owner: owner)
    }

    /// A range of its rows, counted by the first dimension, as a tensor.
    func rows(_ range: Range<Int>, named name: String) -> StoredTensor {
        let width = shape.dropFirst().reduce(1, *)
        let shape = [range.count] + shape.dropFirst()
        guard let coding else {
            let stride = width * dtype.byteWidth
            let part = (range.lowerBound * stride)..<(range.upperBound * stride)
            return StoredTensor(
                name: name, dtype: dtype, shape: shape,
                bytes: UnsafeRawBufferPointer(rebasing: bytes[part]), owner: owner)
        }
        return StoredTensor(
            name: name, shape: shape, coding: coding, first: first + range.lowerBound * width,
            bytes: bytes, owner: owner)
    }

    /// How the file stores the numbers, such as `BF16` or `Q4_K`.
    package var storage: String { coding?.name ?? dtype.rawValue }

    // MARK: Numbers

    /// All numbers as f32.
    ///
    /// - Throws: `CheckpointError` of code `badTensor` unless the type is F32, F16, BF16 or F64.
    public func floats() throws(CheckpointError) -> [Float] {
        try floats(in: 0..<count)
    }

    /// Numbers `range` of the row-major order as f32.
    ///
    /// - Throws: `CheckpointError` of code `badTensor` unless the type is F32, F16, BF16 or F64.
    public func floats(in range: Range<Int>) throws(CheckpointError) -> [Float] {
        if let coding {
            precondition(range.lowerBound >= 0 && range.upperBound <= count, "range of a tensor")
            return coding.numbers(
                in: (first + range.lowerBound)..<(first + range.upperBound), of: bytes)
        }
        return switch dtype {
        case .f32: read(range, as: UInt32.self) { Float(bitPattern: $0) }
        case .bf16: read(range, as: UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
        case .f16: read(range, as: UInt16.self) { Float(halfBits: $0) }
        case .f64: read(range, as: UInt64.self) { Float(Double(bitPattern: $0)) }
        default: throw wrongType("F32, F16, BF16 or F64")
        }
    }

    /// Rows of decoded f32 numbers, if there is a coding.
    package func decodedRows(rows: Int, depth: Int, taps: Int) -> StoredRows? {
        guard let coding else { return nil }
        return StoredRows(rows: rows, depth: depth, taps: taps) {
            coding.write(first..<(first + count), of: bytes, to: $0)
        }
    }

    /// All numbers as 32-bit integers.
    ///
    /// - Throws: `CheckpointError` of code `badTensor` unless the type is an integer or Boolean one
    ///   and every number fits.
    public func int32s() throws(CheckpointError) -> [Int32] {
        let range = 0..<count
        switch dtype {
        case .i32: return read(range, as: UInt32.self) { Int32(bitPattern: $0) }
        case .u8, .bool: return read(range, as: UInt8.self) { Int32($0) }
        case .i8: return read(range, as: UInt8.self) { Int32(Int8(bitPattern: $0)) }
        case .i16: return read(range, as: UInt16.self) { Int32(Int16(bitPattern: $0)) }
        case .i64:
            let wide = read(range, as: UInt64.self) { Int64(bitPattern: $0) }
            let numbers = wide.compactMap { Int32(exactly: $0) }
            guard numbers.count == wide.count else {
                throw CheckpointError(
                    code: .badTensor,
                    message: "tensor \(name.quoted) holds integers that do not fit 32 bits.")
            }
            return numbers
        default: throw wrongType("I32, I64, I16, I8, U8 or BOOL")
        }
    }

    private func read<Bits: FixedWidthInteger, Number>(
        _ range: Range<Int>, as type: Bits.Type, _ convert: (Bits) -> Number
    ) -> [Number] {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range of a tensor")
        return [Number](unsafeUninitializedCapacity: range.count) { buffer, filled in
            for index in range {
                let bits = bytes.loadUnaligned(
                    fromByteOffset: index * MemoryLayout<Bits>.size, as: type)
                buffer.initializeElement(
                    at: index - range.lowerBound, to: convert(Bits(littleEndian: bits)))
            }
            filled = range.count
        }
    }

    private func wrongType(_ expected: String) -> CheckpointError {
        CheckpointError(
            code: .badTensor,
            message: "tensor \(name.quoted) is of type \(dtype), expected \(expected).",
            remedy: "Use an unquantised file.")
    }
}
