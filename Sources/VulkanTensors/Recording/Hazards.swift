// Part of Inkstone. Licence: see LICENSE.

/// What the commands since the last barrier read and write.
package struct Hazards: Sendable {
    private var read = AddressSet()
    private var written = AddressSet()

    /// Creates an empty record.
    package init() {}

    /// Whether a command must wait for the earlier ones: it reads what one of them writes, or writes what
    /// one of them reads or writes.
    package func conflicts(reads: [DeviceRange], writes: [DeviceRange]) -> Bool {
        reads.contains(where: written.intersects)
            || writes.contains { written.intersects($0) || read.intersects($0) }
    }

    /// Adds a command.
    package mutating func insert(reads: [DeviceRange], writes: [DeviceRange]) {
        reads.forEach { read.insert($0) }
        writes.forEach { written.insert($0) }
    }

    /// Forgets all commands, after a barrier.
    package mutating func removeAll() {
        read.removeAll()
        written.removeAll()
    }
}
