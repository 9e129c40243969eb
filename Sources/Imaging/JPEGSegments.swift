// Part of Inkstone. Licence: see LICENSE.

/// Facts in the marker segments of a JPEG file that the decoding library does not report.
///
/// - Source: ISO/IEC 10918-1, B.1 (markers, segments); Adobe Technical Note 5116 (APP14).
struct JPEGSegments: Equatable {
    /// The first Exif block.
    private(set) var exif: ExifBlock?
    /// Whether the file has an Adobe segment, which means that CMYK values are stored inverted.
    private(set) var hasAdobeSegment = false
    /// Number of scans of the file.
    private(set) var scanCount = 0

    /// Scans the whole file from marker to marker, and stops at invalid data.
    init(_ bytes: [UInt8]) {
        bytes.withUnsafeBufferPointer { walk($0) }
    }

    private mutating func walk(_ bytes: UnsafeBufferPointer<UInt8>) {
        var position = 2
        while position + 3 < bytes.count {
            guard bytes[position] == 0xFF else {
                // Entropy-coded data: its 0xFF bytes are followed by 0 or by a restart marker.
                position += 1
                continue
            }
            let marker = bytes[position + 1]
            switch marker {
            case 0xFF:
                position += 1
            case 0x00, 0x01, 0xD0...0xD8:
                position += 2
            case 0xD9:
                return
            default:
                let length = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
                let end = position + 2 + length
                guard length >= 2, end <= bytes.count else { return }
                if marker == 0xDA { scanCount += 1 }
                if marker == 0xE1 || marker == 0xEE {
                    read(marker, Array(bytes[(position + 4)..<end]))
                }
                position = end
            }
        }
    }

    private mutating func read(_ marker: UInt8, _ payload: [UInt8]) {
        if marker == 0xEE, payload.starts(with: "Adobe".utf8) {
            hasAdobeSegment = true
        } else if marker == 0xE1, exif == nil, payload.starts(with: ExifBlock.prefix) {
            exif = ExifBlock(parsing: payload)
        }
    }
}
