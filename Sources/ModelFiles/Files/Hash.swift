// Part of Inkstone. Licence: see LICENSE.

/// FNV-1a of some bytes: tells damage and change, not malice.
func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var sum: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    return sum
}

/// FNV-1a of a text.
func hash(of text: String) -> UInt64 {
    Array(text.utf8).withUnsafeBytes { hash($0) }
}
