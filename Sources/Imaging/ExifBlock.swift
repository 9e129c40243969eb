// Part of Inkstone. Licence: see LICENSE.

/// The user comment and the orientation of an Exif block.
///
/// - Source: TIFF 6.0, section 2 (header and directories); Exif 2.32, tags 0x8769, 0x9286.
struct ExifBlock: Equatable {
    var userComment: String?
    var orientation = ImageOrientation.upright

    /// The prefix of the block in JPEG files, which some WebP and PNG writers add as well.
    static let prefix: [UInt8] = Array("Exif\0\0".utf8)

    /// Bytes of a serialized block with its prefix beside the user comment's UTF-16 units.
    static let overhead = prefix.count + 44 + 8

    init(userComment: String) {
        self.userComment = userComment
    }

    /// Reads a block with or without its prefix; `nil` when it is not a TIFF structure.
    ///
    /// Entries that point outside the block or have the wrong type are skipped: damaged metadata
    /// does not make an image invalid.
    init?(parsing bytes: [UInt8]) {
        let body = bytes.starts(with: Self.prefix) ? Array(bytes.dropFirst(6)) : bytes
        guard let reader = TIFFReader(body) else { return nil }
        for entry in reader.entries(at: reader.firstDirectory) {
            switch entry.tag {
            case 0x0112:
                let value = reader.uint16(at: entry.valueOffset)
                orientation = value.flatMap(ImageOrientation.init(rawValue:)) ?? .upright
            case 0x8769:
                guard let offset = reader.uint32(at: entry.valueOffset) else { continue }
                for inner in reader.entries(at: offset) where inner.tag == 0x9286 {
                    userComment = reader.undefinedValue(inner).flatMap {
                        Self.decodeComment($0, bigEndian: reader.bigEndian)
                    }
                }
            default: continue
            }
        }
    }

    /// The block without its prefix: big-endian, one directory that points to the Exif directory.
    ///
    /// The comment is "UNICODE", NUL and UTF-16 in big-endian order, which is what the clients
    /// that read generation parameters expect, independent of the byte order of the block.
    func serialized() -> [UInt8] {
        var comment = Array("UNICODE\0".utf8)
        for unit in (userComment ?? "").utf16 {
            comment.append(UInt8(unit >> 8))
            comment.append(UInt8(unit & 0xFF))
        }
        var block: [UInt8] = Array("MM\0*".utf8)
        func append16(_ value: Int) { block += [UInt8(value >> 8 & 255), UInt8(value & 255)] }
        func append32(_ value: Int) {
            append16(value >> 16)
            append16(value & 0xFFFF)
        }
        append32(8)
        // Directory 0 at 8: one entry, a 32-bit pointer to the Exif directory at 26.
        append16(1)
        append16(0x8769)
        append16(4)
        append32(1)
        append32(26)
        append32(0)
        // Exif directory at 26: one entry of untyped bytes that begin at 44.
        append16(1)
        append16(0x9286)
        append16(7)
        append32(comment.count)
        append32(44)
        append32(0)
        return block + comment
    }

    /// Reads a user comment by the character code in its first eight bytes.
    private static func decodeComment(_ bytes: [UInt8], bigEndian: Bool) -> String? {
        guard bytes.count >= 8 else { return nil }
        let text = bytes.dropFirst(8)
        switch String(decoding: bytes.prefix(8), as: UTF8.self) {
        case "UNICODE\0":
            return decodeUTF16(Array(text), bigEndian: bigEndian)
        case "ASCII\0\0\0", "\0\0\0\0\0\0\0\0":
            return String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
        default:
            return nil
        }
    }

    /// Decodes UTF-16 in the byte order that its content suggests.
    ///
    /// Writers disagree whether the comment follows the order of the block; programs that
    /// rewrite a block leave the comment as it was. Nearly every such text has Latin letters,
    /// whose upper byte is zero, so the order with more zero upper bytes is taken.
    private static func decodeUTF16(_ bytes: [UInt8], bigEndian: Bool) -> String {
        var zerosAtEven = 0
        var zerosAtOdd = 0
        for index in 0..<(bytes.count / 2) {
            if bytes[2 * index] == 0 { zerosAtEven += 1 }
            if bytes[2 * index + 1] == 0 { zerosAtOdd += 1 }
        }
        let isBig = zerosAtEven == zerosAtOdd ? bigEndian : zerosAtEven > zerosAtOdd
        var units = (0..<(bytes.count / 2)).map { index in
            let first = UInt16(bytes[2 * index])
            let second = UInt16(bytes[2 * index + 1])
            return isBig ? first << 8 | second : second << 8 | first
        }
        if units.first == 0xFEFF { units.removeFirst() }
        while units.last == 0 { units.removeLast() }
        return String(decoding: units, as: UTF16.self)
    }
}

/// Reads numbers and directories of a TIFF structure, with bounds checks.
private struct TIFFReader {
    struct Entry {
        let tag: UInt16
        let type: UInt16
        let count: Int
        /// Offset of the four bytes that hold the value or point to it.
        let valueOffset: Int
    }

    let bytes: [UInt8]
    let bigEndian: Bool
    private(set) var firstDirectory = 0

    init?(_ bytes: [UInt8]) {
        if bytes.starts(with: "MM\0*".utf8) {
            bigEndian = true
        } else if bytes.starts(with: "II*\0".utf8) {
            bigEndian = false
        } else {
            return nil
        }
        self.bytes = bytes
        guard let offset = uint32(at: 4) else { return nil }
        firstDirectory = offset
    }

    func uint16(at offset: Int) -> UInt16? {
        guard offset >= 0, offset <= bytes.count - 2 else { return nil }
        let first = UInt16(bytes[offset])
        let second = UInt16(bytes[offset + 1])
        return bigEndian ? first << 8 | second : second << 8 | first
    }

    func uint32(at offset: Int) -> Int? {
        guard let first = uint16(at: offset), let second = uint16(at: offset + 2) else {
            return nil
        }
        return bigEndian ? Int(first) << 16 | Int(second) : Int(second) << 16 | Int(first)
    }

    /// The entries of one directory that are inside the block.
    func entries(at offset: Int) -> [Entry] {
        guard let count = uint16(at: offset) else { return [] }
        var result: [Entry] = []
        for index in 0..<Int(count) {
            let start = offset + 2 + 12 * index
            guard let tag = uint16(at: start), let type = uint16(at: start + 2),
                let length = uint32(at: start + 4), start + 12 <= bytes.count
            else { break }
            result.append(Entry(tag: tag, type: type, count: length, valueOffset: start + 8))
        }
        return result
    }

    /// The bytes of an untyped or text entry that are stored outside the entry itself.
    func undefinedValue(_ entry: Entry) -> [UInt8]? {
        guard entry.type == 7 || entry.type == 2, entry.count > 4,
            let start = uint32(at: entry.valueOffset),
            start <= bytes.count, entry.count <= bytes.count - start
        else { return nil }
        return Array(bytes[start..<(start + entry.count)])
    }
}
