// Part of Inkstone. Licence: see LICENSE.

/// Reads the hexadecimal numbers of `UnicodeTables`.
///
/// The tables are text because that is a third of the size of array literals and compiles faster. They
/// are read once, when first needed.
struct HexReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    /// Reads the next number after white space; `nil` at the end.
    mutating func number() -> UInt32? {
        while position < bytes.count, bytes[position] <= 0x20 { position += 1 }
        var value: UInt32 = 0
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case let digit where (0x30...0x39).contains(digit):
                value = value << 4 | UInt32(digit - 0x30)
            case let letter where (0x61...0x66).contains(letter):
                value = value << 4 | UInt32(letter - 0x61 + 10)
            default:
                return position > start ? value : nil
            }
            position += 1
        }
        return position > start ? value : nil
    }

    /// Reads the next `first-last` or single number.
    mutating func range() -> ClosedRange<UInt32>? {
        guard let first = number() else { return nil }
        guard consume("-"), let last = number() else { return first...first }
        return first...last
    }

    /// Consumes a character if it comes next.
    mutating func consume(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else {
            return false
        }
        position += 1
        return true
    }
}
