// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Decodes the user comment of an Exif block: a character code of eight bytes, then the text.
///
/// - Source: Exif 3.0, UserComment and its table of character codes. Programs deviate from it in every part, so that the
///   text counts where code and text disagree.
enum ExifComment {
    private static let codeLength = 8

    /// Decodes a comment.
    ///
    /// - Parameters:
    ///   - bytes: the whole value of the entry.
    ///   - bigEndian: the byte order of the block, which the text need not have.
    /// - Returns: the text; `nil` for an empty comment, or one that is not text.
    static func decode(_ bytes: [UInt8], bigEndian: Bool) -> String? {
        let text = Array(bytes.dropFirst(codeLength))
        let decoded: String? =
            switch code(bytes.prefix(codeLength)) {
            case "UNICODE": unicode(text, bigEndian: bigEndian)
            case "ASCII", "": eightBit(text)
            case "JIS": japanese(text)
            // A text without a code, as writers of plain strings store it.
            default: eightBit(bytes)
            }
        return decoded.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The name of a character code without padding, which is NUL or blanks; `nil` for other bytes.
    private static func code(_ bytes: ArraySlice<UInt8>) -> String? {
        guard bytes.count == codeLength else { return nil }
        let name = bytes.prefix { $0 != 0 && $0 != 0x20 }
        guard bytes.dropFirst(name.count).allSatisfy({ $0 == 0 || $0 == 0x20 }) else { return nil }
        return String(decoding: name, as: UTF8.self).uppercased()
    }

    /// ASCII, or what programs write in its place: UTF-8, else Latin-1.
    private static func eightBit(_ bytes: [UInt8]) -> String? {
        let text = bytes.prefix { $0 != 0 }
        if let utf8 = String(validating: text, as: UTF8.self) { return utf8.withoutMark }
        return String(String.UnicodeScalarView(text.map { Unicode.Scalar($0) }))
    }

    /// JIS X 0208 with the escapes of ISO-2022-JP; programs write Shift JIS, or UTF-8, as well.
    private static func japanese(_ bytes: [UInt8]) -> String? {
        let text = Array(bytes.prefix { $0 != 0 })
        if text.contains(0x1B) { return String(data: Data(text), encoding: .iso2022JP) }
        if let utf8 = String(validating: text, as: UTF8.self) { return utf8.withoutMark }
        return String(data: Data(text), encoding: .shiftJIS) ?? eightBit(text)
    }

    /// UTF-16 in the byte order that its mark or its content suggests, or UTF-8.
    ///
    /// Writers disagree whether the comment follows the order of the block; programs that
    /// rewrite a block leave the comment as it was. Nearly every such text has Latin letters,
    /// whose upper byte is zero, so the order with more zero upper bytes is taken.
    private static func unicode(_ bytes: [UInt8], bigEndian: Bool) -> String? {
        if let first = bytes.first, first != 0, !bytes.dropLast(2).contains(0),
            let utf8 = String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
        {
            return utf8.withoutMark
        }
        var zerosAtEven = 0
        var zerosAtOdd = 0
        for index in 0..<(bytes.count / 2) {
            if bytes[2 * index] == 0 { zerosAtEven += 1 }
            if bytes[2 * index + 1] == 0 { zerosAtOdd += 1 }
        }
        let isBig =
            switch bytes.prefix(2) {
            case [0xFE, 0xFF]: true
            case [0xFF, 0xFE]: false
            default: zerosAtEven == zerosAtOdd ? bigEndian : zerosAtEven > zerosAtOdd
            }
        var units = (0..<(bytes.count / 2)).map { index in
            let first = UInt16(bytes[2 * index])
            let second = UInt16(bytes[2 * index + 1])
            return isBig ? first << 8 | second : second << 8 | first
        }
        while units.last == 0 { units.removeLast() }
        return String(decoding: units, as: UTF16.self).withoutMark
    }
}

extension String {
    /// The text without a byte order mark at its beginning.
    fileprivate var withoutMark: String {
        unicodeScalars.first == "\u{FEFF}" ? String(unicodeScalars.dropFirst()) : self
    }
}
