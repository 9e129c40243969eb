// Part of Inkstone. Licence: see LICENSE.

/// A weight matrix in a device's format: named memory blocks that can be stored in a file unchanged.
public struct PackedMatrix: @unchecked Sendable {
    // Unchecked: the memory is read-only and lives as long as `owner`.

    /// Sizes and flags by name.
    public let numbers: [String: Int]
    /// Memory by name; each block starts at a multiple of 64 bytes.
    public let blobs: [String: UnsafeRawBufferPointer]
    /// Keeps the memory valid.
    public let owner: any Sendable

    /// Refers to immutable memory that `owner` keeps alive.
    public init(
        numbers: [String: Int], blobs: [String: UnsafeRawBufferPointer], owner: any Sendable
    ) {
        self.numbers = numbers
        self.blobs = blobs
        self.owner = owner
    }
}

/// Defaults for devices whose packed weights cannot be stored.
extension Backend {
    /// See `Backend`.
    public var packedForm: String? { nil }
    /// See `Backend`.
    public func packed(_ weights: Weights) -> PackedMatrix? { nil }
    /// See `Backend`.
    public var mapsPackedWeights: Bool { true }
    /// See `Backend`.
    public func makeWeights(_ packed: PackedMatrix, placement: WeightPlacement) -> Weights? { nil }
}
