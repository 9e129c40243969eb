// Part of Inkstone. Licence: see LICENSE.

import CSPNG
import Foundation

/// Encodes PNG files with libspng.
enum PNGEncoder {
    /// Encodes 8-bit RGB with the text chunks before the image data, where every reader expects them.
    ///
    /// - Throws: `ImagingError.metadataTooLarge` for a key that is not 1 to 79 Latin-1
    ///   characters, `encodingFailed` when the library fails.
    static func encode(
        _ image: RGBImage,
        level: Int,
        metadata: ImageMetadata
    ) throws(ImagingError) -> [UInt8] {
        let context = spng_ctx_new(Int32(SPNG_CTX_ENCODER.rawValue))
        guard let context else {
            throw ImagingError(.encodingFailed, "The PNG encoder could not allocate memory.")
        }
        defer { spng_ctx_free(context) }
        // The texts are read while the image is encoded and must live until then.
        let texts = try PNGTextList(metadata.entries)
        defer { texts.free() }

        var header = spng_ihdr()
        header.width = UInt32(image.width)
        header.height = UInt32(image.height)
        header.bit_depth = 8
        header.color_type = UInt8(SPNG_COLOR_TYPE_TRUECOLOR.rawValue)

        try check(spng_set_ihdr(context, &header))
        try check(spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1))
        try check(spng_set_option(context, SPNG_IMG_COMPRESSION_LEVEL, Int32(level)))
        // At low levels the search over five filters takes longer than deflate itself.
        let filters =
            level <= 3 ? SPNG_FILTER_CHOICE_SUB.rawValue : SPNG_FILTER_CHOICE_ALL.rawValue
        try check(spng_set_option(context, SPNG_FILTER_CHOICE, Int32(filters)))
        if !texts.items.isEmpty {
            var items = texts.items
            try check(spng_set_text(context, &items, UInt32(items.count)))
        }
        let status = image.pixels.withUnsafeBytes { pixels in
            spng_encode_image(
                context,
                pixels.baseAddress,
                pixels.count,
                Int32(SPNG_FMT_PNG.rawValue),
                Int32(SPNG_ENCODE_FINALIZE.rawValue)
            )
        }
        try check(status)

        var length = 0
        var error: Int32 = 0
        guard let buffer = spng_get_png_buffer(context, &length, &error) else {
            throw failure(error)
        }
        defer { Foundation.free(buffer) }
        return Array(UnsafeRawBufferPointer(start: buffer, count: length))
    }

    private static func check(_ status: Int32) throws(ImagingError) {
        if status != 0 { throw failure(status) }
    }

    private static func failure(_ status: Int32) -> ImagingError {
        let reason = spng_strerror(status).map { String(cString: $0) } ?? "error \(status)"
        return ImagingError(.encodingFailed, "The PNG encoder failed: \(reason).")
    }
}

/// Texts in the library's structures, in manually freed memory.
private struct PNGTextList {
    private(set) var items: [spng_text] = []

    /// Copies the entries: as `tEXt` if they are Latin-1, else as `iTXt`.
    init(_ entries: [ImageMetadata.Entry]) throws(ImagingError) {
        for entry in entries {
            guard let key = Self.latin1(entry.key), (1...79).contains(key.count),
                !key.contains(0)
            else {
                free()
                throw ImagingError(
                    .metadataTooLarge,
                    "The PNG text key '\(entry.key)' is not 1 to 79 Latin-1 characters.",
                    remedy: "Shorten the key."
                )
            }
            append(key: key, text: entry.text)
        }
    }

    private mutating func append(key: [UInt8], text: String) {
        // NUL terminates a text in the file, so it is replaced.
        let text = String(text.map { $0 == "\0" ? "\u{FFFD}" : $0 })
        let latin1 = Self.latin1(text)
        let bytes = latin1 ?? Array(text.utf8)
        var item = spng_text()
        item.type = Int32((latin1 == nil ? SPNG_ITXT : SPNG_TEXT).rawValue)
        withUnsafeMutableBytes(of: &item.keyword) { $0.copyBytes(from: key) }
        item.length = bytes.count
        item.text = Self.allocate(bytes)
        item.language_tag = Self.allocate([])
        item.translated_keyword = Self.allocate([])
        items.append(item)
    }

    func free() {
        for item in items {
            item.text.deallocate()
            item.language_tag.deallocate()
            item.translated_keyword.deallocate()
        }
    }

    /// A NUL-terminated copy.
    ///
    /// CChar is signed on some platforms and unsigned on others.
    private static func allocate(_ bytes: [UInt8]) -> UnsafeMutablePointer<CChar> {
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count + 1)
        for (index, byte) in bytes.enumerated() { copy[index] = CChar(truncatingIfNeeded: byte) }
        copy[bytes.count] = 0
        return copy
    }

    /// The text in Latin-1; `nil` for other characters and for controls except line feed and tab.
    private static func latin1(_ text: String) -> [UInt8]? {
        var bytes = [UInt8]()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x09, 0x0A, 0x20...0x7E, 0xA0...0xFF: bytes.append(UInt8(scalar.value))
            default: return nil
            }
        }
        return bytes
    }
}
