// Part of Inkstone. Licence: see LICENSE.

public import Foundation
public import Tensors

/// A tensor in memory that is written to a file.
public struct NewTensor: Sendable, Equatable {
    /// Row-major numbers of a supported type.
    public enum Numbers: Sendable, Equatable {
        /// 32-bit floating point.
        case f32([Float])
        /// 32-bit integers.
        case i32([Int32])
        /// Bytes.
        case u8([UInt8])
        /// The bits of bf16 numbers.
        case bf16([UInt16])

        /// Rounds f32 numbers to bf16, to nearest even.
        public static func bf16(rounding numbers: [Float]) -> Numbers {
            .bf16(numbers.map(\.bfloat16Bits))
        }

        /// Type of the numbers.
        public var dtype: DType {
            switch self {
            case .f32: .f32
            case .i32: .i32
            case .u8: .u8
            case .bf16: .bf16
            }
        }
    }

    /// Its name.
    public var name: String
    /// Its dimensions, slowest first.
    public var shape: [Int]
    /// Its numbers, as many as the shape says.
    public var numbers: Numbers

    /// A tensor of the given content.
    public init(_ name: String, shape: [Int], _ numbers: Numbers) {
        self.name = name
        self.shape = shape
        self.numbers = numbers
    }
}

extension SafetensorsFile {
    /// Writes tensors in memory to a file, atomically.
    ///
    /// - Throws: `CheckpointError` of code `writeFailed`, also when numbers and shape do not agree.
    public static func write(
        _ tensors: [NewTensor], metadata: [String: String] = [:], to url: URL
    ) throws(CheckpointError) {
        var writer = try SafetensorsWriter(
            to: url,
            tensors: tensors.map {
                .init(name: $0.name, dtype: $0.numbers.dtype, shape: $0.shape)
            },
            metadata: metadata)
        for tensor in tensors {
            switch tensor.numbers {
            case .f32(let numbers): try writer.append(numbers, to: tensor.name)
            case .i32(let numbers): try writer.append(numbers, to: tensor.name)
            case .u8(let numbers): try writer.append(numbers, to: tensor.name)
            case .bf16(let numbers): try writer.append(numbers, to: tensor.name)
            }
        }
        try writer.finish()
    }
}

extension Float {
    /// The number rounded to bf16, to nearest even; NaN is preserved.
    fileprivate var bfloat16Bits: UInt16 {
        let bits = bitPattern
        // A carry from rounding could turn a NaN's bits into those of infinity.
        guard !isNaN else { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
        let rounded = bits &+ 0x7FFF &+ (bits >> 16 & 1)
        return UInt16(truncatingIfNeeded: rounded >> 16)
    }
}
