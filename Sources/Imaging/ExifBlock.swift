// Part of Inkstone. Licence: see LICENSE.

/// The user comment and the orientation of an Exif block.
///
/// - Source: TIFF 6.0, section 2 (header and directories); Exif 3.0, tags 0x8769, 0x9286.
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
    /// The user comment belongs into the Exif directory; some programs write it into the first one. Entries that point
    /// outside the block or have the wrong type are skipped: damaged metadata does not make an image invalid.
    init?(parsing bytes: [UInt8]) {
        let body = bytes.starts(with: Self.prefix) ? Array(bytes.dropFirst(6)) : bytes
        guard let reader = TIFFReader(body) else { return nil }
        var misplaced: String?
        func comment(_ entry: TIFFReader.Entry) -> String? {
            reader.byteValue(entry).flatMap {
                ExifComment.decode($0, bigEndian: reader.bigEndian)
            }
        }
        for entry in reader.entries(at: reader.firstDirectory) {
            switch entry.tag {
            case 0x0112:
                let value = reader.uint16(at: entry.valueOffset)
                orientation = value.flatMap(ImageOrientation.init(rawValue:)) ?? .upright
            case Self.commentTag: misplaced = misplaced ?? comment(entry)
            case 0x8769:
                guard let offset = reader.uint32(at: entry.valueOffset) else { continue }
                for inner in reader.entries(at: offset) where inner.tag == Self.commentTag {
                    userComment = userComment ?? comment(inner)
                }
            default: continue
            }
        }
        userComment = userComment ?? misplaced
    }

    private static let commentTag: UInt16 = 0x9286

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

    /// Types of one byte: BYTE, ASCII, SBYTE, UNDEFINED, and UTF-8 of Exif 3.0.
    private static let byteTypes: Set<UInt16> = [1, 2, 6, 7, 129]

    /// The bytes of an entry of any type of one byte.
    func byteValue(_ entry: Entry) -> [UInt8]? {
        guard Self.byteTypes.contains(entry.type),
            // Up to four are in the entry itself.
            let start = entry.count <= 4 ? entry.valueOffset : uint32(at: entry.valueOffset),
            start <= bytes.count, entry.count <= bytes.count - start
        else { return nil }
        return Array(bytes[start..<(start + entry.count)])
    }
}
