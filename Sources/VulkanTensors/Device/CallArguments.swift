// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// Memory for the structures that one call of Vulkan points to.
struct CallArguments: ~Copyable {
    private var blocks: [UnsafeMutableRawPointer] = []

    deinit { blocks.forEach { $0.deallocate() } }

    /// Allocates structures of zeros, and sets their members in place.
    ///
    /// A copy of an imported structure is not enough: the optimizer of Swift 6.3 leaves the last word
    /// before the padding of some undefined, such as that of `VkPhysicalDeviceFeatures2`.
    mutating func make<Structure>(
        _ type: Structure.Type, count: Int = 1, _ set: (inout Structure) -> Void
    ) -> UnsafeMutablePointer<Structure> {
        let layout = MemoryLayout<Structure>.self
        let bytes = layout.stride * count
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: bytes, alignment: layout.alignment)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        blocks.append(memory)
        let structures = memory.bindMemory(to: type, capacity: count)
        for index in 0..<count { set(&structures[index]) }
        return structures
    }

    /// Copies the elements of an array; the pointer is valid for an empty one too.
    mutating func store<Value>(_ values: [Value]) -> UnsafeMutablePointer<Value> {
        let pointer = UnsafeMutablePointer<Value>.allocate(capacity: max(1, values.count))
        pointer.initialize(from: values, count: values.count)
        blocks.append(UnsafeMutableRawPointer(pointer))
        return pointer
    }

    /// Copies a text with a terminating zero.
    mutating func store(_ text: String) -> UnsafePointer<CChar> {
        UnsafePointer(store(Array(text.utf8CString)))
    }

    /// Copies texts.
    mutating func store(_ texts: [String]) -> UnsafePointer<UnsafePointer<CChar>?> {
        var pointers: [UnsafePointer<CChar>?] = []
        for text in texts { pointers.append(store(text)) }
        return UnsafePointer(store(pointers))
    }

    /// Links structures to a `pNext` chain.
    static func link(_ structures: [UnsafeMutableRawPointer]) {
        for (structure, next) in zip(structures, structures.dropFirst()) {
            structure.assumingMemoryBound(to: VkBaseOutStructure.self).pointee.pNext =
                next.assumingMemoryBound(to: VkBaseOutStructure.self)
        }
    }
}

/// Calls `body` with memory that is valid until it returns.
func withArguments<Result, Failure: Error>(
    _ body: (inout CallArguments) throws(Failure) -> Result
) throws(Failure) -> Result {
    var arguments = CallArguments()
    return try body(&arguments)
}

/// The elements of a C array, which Swift imports as a tuple.
func elements<Tuple, Element>(of tuple: Tuple, as type: Element.Type) -> [Element] {
    withUnsafeBytes(of: tuple) { Array($0.bindMemory(to: type)) }
}

/// The text of a C array of characters, up to its terminating zero.
func text<Tuple>(of tuple: Tuple) -> String {
    withUnsafeBytes(of: tuple) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
