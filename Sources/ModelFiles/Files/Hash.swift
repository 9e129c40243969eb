// Part of Inkstone. Licence: see LICENSE.

/// The FNV-1a hash of bytes: detects damage and changes, but not manipulation.
package func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var sum: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    return sum
}

/// The FNV-1a hash of a text.
func hash(of text: String) -> UInt64 {
    Array(text.utf8).withUnsafeBytes { hash($0) }
}
