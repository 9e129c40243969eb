// Part of Inkstone. Licence: see LICENSE.

/// The memory of a device that has its own.
public struct DeviceMemoryUse: Sendable, Codable, Equatable {
    /// Bytes that a process may use.
    public let totalBytes: Int
    /// Bytes of these that are free.
    public let availableBytes: Int

    /// Creates a record.
    public init(totalBytes: Int, availableBytes: Int) {
        self.totalBytes = totalBytes
        self.availableBytes = availableBytes
    }
}
