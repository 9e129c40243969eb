// Part of Inkstone. Licence: see LICENSE.

/// A weight matrix in a device's own form: named pieces of memory that a file can hold as they are.
public struct PackedMatrix: @unchecked Sendable {
    // Unchecked: the memory is read-only and lives as long as `owner`.

    /// Sizes and flags by name.
    public let numbers: [String: Int]
    /// Memory by name; each piece begins at a multiple of 64 bytes.
    public let blobs: [String: UnsafeRawBufferPointer]
    /// Keeps the memory valid.
    public let owner: any Sendable

    /// Describes memory that `owner` keeps alive and nobody writes.
    public init(
        numbers: [String: Int], blobs: [String: UnsafeRawBufferPointer], owner: any Sendable
    ) {
        self.numbers = numbers
        self.blobs = blobs
        self.owner = owner
    }
}

/// Devices without a form that can be stored answer with `nil`.
extension Backend {
    /// See `Backend`.
    public var packedForm: String? { nil }
    /// See `Backend`.
    public func packed(_ weights: Weights) -> PackedMatrix? { nil }
    /// See `Backend`.
    public func makeWeights(_ packed: PackedMatrix) -> Weights? { nil }
}
