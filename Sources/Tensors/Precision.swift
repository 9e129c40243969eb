// Part of Inkstone. Licence: see LICENSE.

/// Precision of matrix products; all other operations are in f32.
public enum Precision: String, Sendable, Codable, CaseIterable {
    /// f32 factors and sums: the reference.
    case f32
    /// bf16 factors, f32 sums.
    case bf16
    /// Rotated 8-bit factors with one scale per row and column, exact sums.
    ///
    /// Convolutions, attention and the layers that model code excludes use a higher precision.
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
