// Part of Inkstone. Licence: see LICENSE.

/// Prepares a client's JSON for the decoder.
enum JSONScreen {
    /// Nested objects and arrays; more is an attack on the stack, not a request.
    static let maximumDepth = 32

    /// Replaces escapes of unpaired surrogates by U+FFFD, and drops a byte order mark.
    ///
    /// Clients that cut text at a fixed length send half of an emoji as `\ud83d`. JSON allows the
    /// escape, but the decoder would refuse the whole document.
    ///
    /// - Returns: `nil` when the document is nested deeper than `maximumDepth`.
    static func screened(_ document: [UInt8]) -> [UInt8]? {
        var bytes = document
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        var depth = 0
        var insideString = false
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                insideString.toggle()
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                if !insideString { depth += 1 }
                guard depth <= maximumDepth else { return nil }
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                if !insideString { depth -= 1 }
            case UInt8(ascii: "\\") where insideString:
                index = screenEscape(&bytes, at: index)
                continue
            default:
                break
            }
            index += 1
        }
        return bytes
    }

    /// Repairs the escape that begins at `index`; returns the index behind it.
    private static func screenEscape(_ bytes: inout [UInt8], at index: Int) -> Int {
        guard let unit = codeUnit(bytes, at: index) else { return index + 2 }
        switch unit {
        case 0xD800...0xDBFF:
            if let next = codeUnit(bytes, at: index + 6), (0xDC00...0xDFFF).contains(next) {
                return index + 12
            }
        case 0xDC00...0xDFFF:
            break
        default:
            return index + 6
        }
        bytes.replaceSubrange(index + 2..<index + 6, with: Array("fffd".utf8))
        return index + 6
    }

    /// The code unit of a `\uXXXX` escape, or `nil` when there is none at `index`.
    private static func codeUnit(_ bytes: [UInt8], at index: Int) -> UInt16? {
        guard index + 6 <= bytes.count,
            bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u")
        else { return nil }
        var unit: UInt16 = 0
        for byte in bytes[index + 2..<index + 6] {
            guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else { return nil }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }
}
