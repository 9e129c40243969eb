// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// An image file as it was received, not yet decoded.
package enum ImageBytes: Sendable, Equatable {
    /// Base64, without the prefix of a data URL.
    case base64([UInt8])
    case file([UInt8])

    /// Creates it from base64 that may be a data URL.
    package init(text: [UInt8]) {
        guard text.starts(with: "data:".utf8),
            let comma = text.prefix(128).firstIndex(of: UInt8(ascii: ","))
        else {
            self = .base64(text)
            return
        }
        self = .base64([UInt8](text[(comma + 1)...]))
    }

    /// Number of bytes in memory.
    package var count: Int {
        switch self {
        case .base64(let bytes), .file(let bytes): bytes.count
        }
    }

    /// The file, `nil` when the base64 is invalid.
    package var decoded: [UInt8]? {
        switch self {
        case .file(let bytes): return bytes
        case .base64(let text):
            return Data(base64Encoded: Data(text)).map { [UInt8]($0) }
        }
    }

    /// Format and size, parsed from the first bytes only, so that it is cheap during the load.
    package var header: ImageHeader? {
        switch self {
        case .file(let bytes): return ImageHeader([UInt8](bytes.prefix(ImageHeader.length)))
        case .base64(let text):
            let head = text.prefix(ImageHeader.length / 3 * 4)
            let whole = head.prefix(head.count / 4 * 4)
            return Data(base64Encoded: Data(whole)).flatMap { ImageHeader([UInt8]($0)) }
        }
    }
}

/// Format and size of an image file, parsed from its first bytes.
package struct ImageHeader: Sendable, Equatable {
    /// Number of bytes that are parsed.
    static let length = 4095

    /// `png`, `jpeg` or `webp`.
    package let format: String
    package let width: Int
    package let height: Int

    /// Parses the first bytes of a file; `nil` when they are not of one of the three formats.
    package init?(_ bytes: [UInt8]) {
        if bytes.count >= 24, bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]),
            bytes[12..<16].elementsEqual("IHDR".utf8)
        {
            format = "png"
            width = Self.big(bytes[16..<20])
            height = Self.big(bytes[20..<24])
        } else if bytes.count >= 30, bytes.starts(with: "RIFF".utf8),
            bytes[8..<12].elementsEqual("WEBP".utf8), let size = Self.webP(bytes)
        {
            format = "webp"
            (width, height) = size
        } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]), let size = Self.jpeg(bytes) {
            format = "jpeg"
            (width, height) = size
        } else {
            return nil
        }
    }

    private static func big(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.reduce(0) { $0 << 8 | Int($1) }
    }

    /// The size from the first chunk of a WebP file, of one of three kinds.
    private static func webP(_ bytes: [UInt8]) -> (Int, Int)? {
        func little(_ range: Range<Int>) -> Int {
            bytes[range].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        switch String(decoding: bytes[12..<16], as: UTF8.self) {
        case "VP8 ": return (little(26..<28) & 0x3FFF, little(28..<30) & 0x3FFF)
        case "VP8L":
            let bits = little(21..<25)
            return (bits & 0x3FFF + 1, bits >> 14 & 0x3FFF + 1)
        case "VP8X": return (little(24..<27) + 1, little(27..<30) + 1)
        default: return nil
        }
    }

    /// The size from the first frame header among the segments present.
    private static func jpeg(_ bytes: [UInt8]) -> (Int, Int)? {
        var position = 2
        while position + 9 <= bytes.count, bytes[position] == 0xFF {
            let marker = bytes[position + 1]
            if (0xC0...0xCF).contains(marker), ![0xC4, 0xC8, 0xCC].contains(marker) {
                return (
                    big(bytes[(position + 7)..<(position + 9)]),
                    big(bytes[(position + 5)..<(position + 7)])
                )
            }
            position += 2 + big(bytes[(position + 2)..<(position + 4)])
        }
        return nil
    }
}
