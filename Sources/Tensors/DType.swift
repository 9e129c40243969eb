// Part of Inkstone. Licence: see LICENSE.

/// Element type of a stored tensor.
///
/// The raw value is the name in the safetensors format.
public enum DType: String, Sendable, Hashable, Codable, CaseIterable, CustomStringConvertible {
    /// IEEE 754 binary64.
    case f64 = "F64"
    /// IEEE 754 binary32.
    case f32 = "F32"
    /// IEEE 754 binary16: 5 bits of exponent, 10 of fraction.
    case f16 = "F16"
    /// Upper half of binary32: 8 bits of exponent, 7 of fraction.
    case bf16 = "BF16"
    /// 4 bits of exponent, 3 of fraction, no infinity, largest value 448.
    case f8E4M3 = "F8_E4M3"
    /// Upper half of binary16: 5 bits of exponent, 2 of fraction.
    case f8E5M2 = "F8_E5M2"
    /// A power of two, `2^(e - 127)`: the scale of a block.
    case f8E8M0 = "F8_E8M0"
    /// Signed byte.
    case i8 = "I8"
    /// Unsigned byte.
    case u8 = "U8"
    /// Signed 16-bit integer.
    case i16 = "I16"
    /// Signed 32-bit integer.
    case i32 = "I32"
    /// Signed 64-bit integer.
    case i64 = "I64"
    /// One byte, 0 or 1.
    case bool = "BOOL"

    /// Bytes per element.
    public var byteWidth: Int {
        switch self {
        case .f64, .i64: 8
        case .f32, .i32: 4
        case .f16, .bf16, .i16: 2
        case .f8E4M3, .f8E5M2, .f8E8M0, .i8, .u8, .bool: 1
        }
    }

    /// The name in safetensors files, such as `BF16`.
    public var description: String { rawValue }
}
