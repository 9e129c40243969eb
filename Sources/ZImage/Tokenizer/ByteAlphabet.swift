// Part of Inkstone. Licence: see LICENSE.

/// The printable characters by which byte-level vocabularies represent the 256 byte values.
///
/// Printable Latin-1 bytes represent themselves; the other 68, in ascending order, are written as
/// U+0100 and up. So a space reads `Ġ` and a newline `Ċ`.
///
/// - Source: `byte_to_unicode` in OpenAI's GPT-2 `src/encoder.py`; the same table in every Qwen
///   vocabulary.
enum ByteAlphabet {
    /// The character of each byte, by byte value.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt8 = 0
        return (0...255).map { (byte: UInt8) in
            if (33...126).contains(byte) || (161...172).contains(byte) || byte >= 174 {
                return Unicode.Scalar(byte)
            }
            defer { next += 1 }
            // U+0100 to U+0143, written as two UTF-8 bytes: always a scalar.
            return Unicode.Scalar(0x100 + UInt16(next)) ?? "\u{FFFD}"
        }
    }()

    /// Returns the UTF-8 of a byte's character.
    static func symbol(_ byte: UInt8) -> [UInt8] {
        Array(String(scalars[Int(byte)]).utf8)
    }
}
