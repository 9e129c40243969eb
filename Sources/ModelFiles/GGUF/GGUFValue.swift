// Part of Inkstone. Licence: see LICENSE.

/// A metadata value of a GGUF file.
enum GGUFValue: Sendable, Equatable {
    /// A whole number of any width.
    case integer(Int)
    /// A number with a fraction.
    case number(Double)
    /// A truth value.
    case bool(Bool)
    /// A text.
    case string(String)
    /// Whole numbers.
    case integers([Int])
    /// Texts, as bytes: vocabularies have hundreds of thousands.
    case texts([[UInt8]])
    /// Any other type; unused.
    case other

    /// Types of values, with the identifiers of the file format.
    enum Kind: UInt32 {
        case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array
        case uint64, int64, float64

        /// Bytes of a value; the minimum for texts and lists.
        var leastBytes: Int {
            switch self {
            case .uint8, .int8, .bool: 1
            case .uint16, .int16: 2
            case .uint32, .int32, .float32: 4
            case .uint64, .int64, .float64, .string: 8
            case .array: 12
            }
        }
    }
}
