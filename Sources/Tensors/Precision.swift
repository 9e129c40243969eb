// Part of Inkstone. Licence: see LICENSE.

/// How matrix products are computed; everything between them is f32.
public enum Precision: String, Sendable, Codable, CaseIterable {
    /// f32 factors and sums: the reference.
    case f32
    /// bf16 factors, f32 sums.
    case bf16
    /// Rotated 8-bit factors with a scale for each row and each column, exact sums.
    ///
    /// Convolutions and attention, and layers that the model code names, stay in more precision.
    case int8

    /// Bytes of one stored weight.
    public var bytesPerWeight: Int {
        switch self {
        case .f32: 4
        case .bf16: 2
        case .int8: 1
        }
    }
}
