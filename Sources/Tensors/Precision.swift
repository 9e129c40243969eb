// Part of Inkstone. Licence: see LICENSE.

/// How matrix products are computed; everything between them is f32.
public enum Precision: String, Sendable, Codable, CaseIterable {
    /// f32 factors and sums: the reference.
    case f32
    /// bf16 factors, f32 sums.
    case bf16

    /// Bytes of one stored weight.
    public var bytesPerWeight: Int { self == .f32 ? 4 : 2 }
}
