// Part of Inkstone. Licence: see LICENSE.

import Imaging

/// Image files as inputs.
enum ImageInput {
    /// Small, so that the time for an input is bounded by its size and not by its header.
    private static let limits = ImageLimits(maximumPixels: 1 << 20, maximumMetadataBytes: 1 << 16)
    /// Larger images are decoded only.
    private static let pixelsToEncode = 1 << 12

    /// Decodes an image, reads its text, and compares its pixels with those of a copy as PNG.
    static func decode(_ bytes: [UInt8]) {
        guard let image = try? ImageDecoder.decode(bytes, limits: limits) else { return }
        _ = image.metadata.parameters.flatMap(GenerationParameters.init(parsing:))
        let flat = image.flattened()
        guard flat.width * flat.height <= pixelsToEncode else { return }
        guard let copy = try? ImageEncoder.encode(flat, as: .png(compressionLevel: 0)),
            let second = try? ImageDecoder.decode(copy, limits: limits)
        else { preconditionFailure("a decoded image cannot be encoded and decoded again") }
        precondition(second.flattened() == flat, "pixels of the copy")
    }

    /// Decodes a PNG file of one pixel with the input as its Exif block.
    static func decodeExif(_ block: [UInt8]) {
        var file = onePixel
        var chunk = bigEndian(block.count) + Array("eXIf".utf8) + block
        chunk += bigEndian(Int(checksum(chunk[4...])))
        file.insert(contentsOf: chunk, at: headerEnd)
        decode(file)
    }

    /// Parses a text as generation parameters, and what is written for them again.
    static func parseInfotext(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let parameters = GenerationParameters(parsing: text) else { return }
        _ = GenerationParameters(parsing: parameters.text)
    }

    // MARK: PNG

    /// Bytes of signature and IHDR chunk.
    private static let headerEnd = 33

    private static let onePixel: [UInt8] = {
        guard let image = try? RGBImage(width: 1, height: 1, pixels: [1, 2, 3]),
            let file = try? ImageEncoder.encode(image)
        else { preconditionFailure("one pixel can be encoded") }
        return file
    }()

    /// The file with right checksums in all chunks: a mutation would otherwise be refused at once.
    static func repairingChecksums(of file: [UInt8]) -> [UInt8] {
        var file = file
        var start = 8
        while start + 12 <= file.count {
            let length = file[start..<(start + 4)].reduce(0) { $0 << 8 | Int($1) }
            let end = start + 8 + length
            guard end + 4 <= file.count else { break }
            let value = checksum(file[(start + 4)..<end])
            file.replaceSubrange(end..<(end + 4), with: bigEndian(Int(value)))
            start = end + 4
        }
        return file
    }

    private static func bigEndian(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(value >> $0 & 255) }
    }

    /// CRC-32 of a chunk's type and data.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var value = UInt32.max
        for byte in bytes { value = table[Int((value ^ UInt32(byte)) & 255)] ^ value >> 8 }
        return ~value
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in
            value & 1 == 1 ? 0xEDB8_8320 ^ value >> 1 : value >> 1
        }
    }
}
