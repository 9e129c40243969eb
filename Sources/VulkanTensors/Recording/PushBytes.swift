// Part of Inkstone. Licence: see LICENSE.

/// The push constants of a dispatch: 8- and 4-byte values in scalar layout.
package struct PushBytes: Sendable, Equatable {
    /// Most bytes.
    package static let limit = Kernel.pushBytes

    /// The values in the order of the host, each aligned to its size.
    package private(set) var bytes: [UInt8] = []

    /// Creates an empty list.
    package init() { bytes.reserveCapacity(Self.limit) }

    /// Appends the address of a byte of a buffer, or 0 for no buffer.
    package mutating func add(_ buffer: DeviceBuffer?, at offset: Int = 0) {
        precondition(
            buffer.map { offset >= 0 && offset <= $0.bytes } ?? (offset == 0), "offset \(offset)")
        append(buffer.map { $0.address + UInt64(offset) } ?? 0)
    }

    /// Appends a number of 32 bits.
    package mutating func add(_ number: Int) {
        precondition(
            number >= Int(Int32.min) && number <= Int(UInt32.max), "\(number) is not a word")
        append(UInt32(truncatingIfNeeded: number))
    }

    /// Appends a number of 32 bits.
    package mutating func add(_ number: UInt32) { append(number) }

    /// Appends an f32.
    package mutating func add(_ number: Float) { append(number.bitPattern) }

    private mutating func append<Value: FixedWidthInteger>(_ value: Value) {
        let size = MemoryLayout<Value>.size
        let padding = (size - bytes.count % size) % size
        precondition(
            bytes.count + padding + size <= Self.limit, "more than \(Self.limit) push bytes")
        bytes.append(contentsOf: repeatElement(0, count: padding))
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }
}
