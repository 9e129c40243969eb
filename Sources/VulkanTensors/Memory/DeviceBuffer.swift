// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// Memory of a device, which goes back to its pool with the last reference.
///
/// Commands that are recorded or queued may still use it then: a later command that writes the same
/// range conflicts with them, and the recorder orders it after them.
package final class DeviceBuffer: Sendable {
    /// Address in shaders, a multiple of 256.
    package let address: UInt64
    /// Requested size.
    package let bytes: Int
    let memory: DeviceMemory
    /// Offset within `memory`.
    let offset: Int
    private let capacity: Int
    private let pool: MemoryPool?

    /// Uses a part of `memory`, which is given back to `pool`.
    init(_ memory: DeviceMemory, offset: Int, capacity: Int, bytes: Int, pool: MemoryPool?) {
        self.memory = memory
        self.offset = offset
        self.capacity = capacity
        self.bytes = bytes
        self.pool = pool
        address = memory.address + UInt64(offset)
    }

    deinit { pool?.recycle(offset..<(offset + capacity), of: memory) }

    /// A part of the buffer, from a multiple of 256 bytes on, which does not keep the buffer from being freed.
    func part(at start: Int, bytes: Int) -> DeviceBuffer {
        DeviceBuffer(memory, offset: offset + start, capacity: bytes, bytes: bytes, pool: nil)
    }

    /// Address on the host, for memory that the host can address.
    package var hostAddress: UnsafeMutableRawPointer? { memory.hostAddress.map { $0 + offset } }

    /// All of the buffer, for declarations of what a command reads or writes.
    package var range: DeviceRange { DeviceRange(address: address, bytes: bytes) }

    /// `bytes` of the buffer from `offset` on.
    package func range(at offset: Int, bytes: Int) -> DeviceRange {
        precondition(
            offset >= 0 && bytes >= 0 && offset + bytes <= self.bytes,
            "\(bytes) bytes at \(offset) of \(self.bytes)")
        return DeviceRange(address: address + UInt64(offset), bytes: bytes)
    }
}

/// A range of a device's addresses.
package struct DeviceRange: Sendable, Hashable {
    /// First byte.
    package let address: UInt64
    /// Number of bytes.
    package let bytes: Int

    /// Creates a range.
    package init(address: UInt64, bytes: Int) {
        self.address = address
        self.bytes = bytes
    }
}
