// Part of Inkstone. Licence: see LICENSE.

extension JSONScanner {
    /// Reads a string.
    package mutating func string() throws(JSONSyntaxError) -> String {
        guard consume("\"") else { throw unexpected("a string") }
        let start = offset
        let end = try endOfPlainText()
        if bytes[end] == UInt8(ascii: "\"") {
            offset = end + 1
            return String(
                decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<end]), as: UTF8.self)
        }
        offset = start - 1
        try readText()
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads a string and discards it.
    mutating func skipText() throws(JSONSyntaxError) {
        guard consume("\"") else { throw unexpected("a string") }
        while true {
            offset = try endOfPlainText() + 1
            if bytes[offset - 1] == UInt8(ascii: "\"") { return }
            _ = try escape()
        }
    }

    /// Reads a string into `text`, whose storage is used again.
    package mutating func readText() throws(JSONSyntaxError) {
        guard consume("\"") else { throw unexpected("a string") }
        text.removeAll(keepingCapacity: true)
        while true {
            let start = offset
            offset = try endOfPlainText()
            text.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start..<offset]))
            offset += 1
            if bytes[offset - 1] == UInt8(ascii: "\"") { return }
            text.append(contentsOf: try escape().utf8)
        }
    }

    /// Returns the position of the next quote or backslash.
    private func endOfPlainText() throws(JSONSyntaxError) -> Int {
        var index = offset
        let (bytes, end) = (bytes, bytes.count)
        while index < end {
            let byte = bytes[index]
            if byte < 0x80 {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return index }
                guard byte >= 0x20 else {
                    throw failure("a string holds a bare control character", at: index)
                }
                index += 1
            } else if byte < 0xE0, byte >= 0xC2, index + 1 < end, bytes[index + 1] & 0xC0 == 0x80 {
                index += 2
            } else {
                let length = scalarLength(at: index)
                guard length > 0 else { throw failure("a string is not UTF-8", at: index) }
                index += length
            }
        }
        throw failure("a string has no end", at: end)
    }

    /// Returns the bytes of the scalar at `index` from U+0800 on, or 0 if they are not UTF-8.
    ///
    /// - Source: The Unicode Standard, table 3-7.
    private func scalarLength(at index: Int) -> Int {
        let second: ClosedRange<UInt8>
        let length: Int
        switch bytes[index] {
        case 0xE0: (second, length) = (0xA0...0xBF, 3)
        case 0xED: (second, length) = (0x80...0x9F, 3)
        case 0xE1...0xEF: (second, length) = (0x80...0xBF, 3)
        case 0xF0: (second, length) = (0x90...0xBF, 4)
        case 0xF1...0xF3: (second, length) = (0x80...0xBF, 4)
        case 0xF4: (second, length) = (0x80...0x8F, 4)
        default: return 0
        }
        guard bytes.count - index >= length, second.contains(bytes[index + 1]) else { return 0 }
        let isWhole = (index + 2..<index + length).allSatisfy { bytes[$0] & 0xC0 == 0x80 }
        return isWhole ? length : 0
    }

    /// Reads the part of an escape that follows the backslash.
    private mutating func escape() throws(JSONSyntaxError) -> Unicode.Scalar {
        guard offset < bytes.count else { throw failure("a string has no end") }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "/"), UInt8(ascii: "\\"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default:
            offset -= 1
            throw unexpected("an escape")
        }
    }

    private mutating func unicodeEscape() throws(JSONSyntaxError) -> Unicode.Scalar {
        let first = try codeUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        if first < 0xDC00, bytes.count - offset > 1, bytes[offset] == UInt8(ascii: "\\"),
            bytes[offset + 1] == UInt8(ascii: "u")
        {
            let start = offset
            offset += 2
            let second = try codeUnit()
            if (0xDC00...0xDFFF).contains(second),
                let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
            {
                return scalar
            }
            offset = start
        }
        guard options.isLenient else { throw failure("a string holds half a surrogate pair") }
        return "\u{FFFD}"
    }

    /// Reads four hexadecimal digits.
    private mutating func codeUnit() throws(JSONSyntaxError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard offset < bytes.count, let digit = Self.hexDigit(bytes[offset]) else {
                throw failure("a string holds a broken escape")
            }
            value = value << 4 | digit
            offset += 1
        }
        return value
    }

    private static func hexDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
