// Part of Inkstone. Licence: see LICENSE.

import Basics
import Imaging

/// Masks of edits: a centred rectangle that is generated again.
///
/// Servers read masks in two ways. OpenAI's is transparent where the image is generated again; elsewhere it is
/// white there. The transparent form here is white as well, so that a reader without transparency agrees.
package enum MaskImage {
    /// The rectangle: `share` of the area, in the proportions of the image.
    static func rectangle(width: Int, height: Int, share: Double) -> (x: Range<Int>, y: Range<Int>)
    {
        let scale = share.squareRoot()
        let inner = (
            width: max(1, Int((Double(width) * scale).rounded())),
            height: max(1, Int((Double(height) * scale).rounded()))
        )
        let left = (width - inner.width) / 2
        let top = (height - inner.height) / 2
        return (left..<(left + inner.width), top..<(top + inner.height))
    }

    /// A PNG file that is white in the rectangle and black elsewhere.
    package static func opaque(width: Int, height: Int, share: Double) throws -> [UInt8] {
        let area = rectangle(width: width, height: height, share: share)
        var pixels = [UInt8](repeating: 0, count: 3 * width * height)
        for y in area.y {
            for x in area.x {
                for channel in 0..<3 { pixels[3 * (y * width + x) + channel] = 255 }
            }
        }
        return try ImageEncoder.encode(RGBImage(width: width, height: height, pixels: pixels))
    }

    /// A PNG file with two colours: transparent white in the rectangle, black elsewhere.
    ///
    /// - Source: W3C PNG, third edition, sections 11.2 and 11.3.1: a palette with `tRNS`, one bit a pixel, in
    ///   stored blocks of deflate (RFC 1951, 3.2.4).
    package static func transparent(width: Int, height: Int, share: Double) -> [UInt8] {
        let area = rectangle(width: width, height: height, share: share)
        var rows: [UInt8] = []
        for y in 0..<height {
            var row = [UInt8](repeating: 0, count: (width + 7) / 8)
            if area.y.contains(y) { for x in area.x { row[x / 8] |= 0x80 >> UInt8(x % 8) } }
            rows.append(0)  // No filter.
            rows += row
        }
        let header = big(width) + big(height) + [1, 3, 0, 0, 0]
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", header)
            + chunk("PLTE", [0, 0, 0, 255, 255, 255]) + chunk("tRNS", [255, 0])
            + chunk("IDAT", stored(rows)) + chunk("IEND", [])
    }

    private static func big(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    private static func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
        let body = Array(name.utf8) + content
        return big(content.count) + body + big(Int(checksum(body)))
    }

    /// A zlib stream of stored blocks.
    private static func stored(_ bytes: [UInt8]) -> [UInt8] {
        var stream: [UInt8] = [0x78, 0x01]
        var start = 0
        repeat {
            let count = min(65_535, bytes.count - start)
            let isLast: UInt8 = start + count == bytes.count ? 1 : 0
            let length = [UInt8(count & 0xFF), UInt8(count >> 8)]
            stream.append(isLast)
            stream += length + length.map { ~$0 } + bytes[start..<(start + count)]
            start += count
        } while start < bytes.count
        var (a, b) = (1, 0)
        for byte in bytes {
            a = (a + Int(byte)) % 65_521
            b = (b + a) % 65_521
        }
        return stream + big(b << 16 | a)
    }

    /// CRC-32 with the polynomial of PNG.
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0 as UInt32) { sum, byte in
            var value = sum ^ UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? 0xEDB8_8320 ^ value >> 1 : value >> 1 }
            return value
        }
    }
}
