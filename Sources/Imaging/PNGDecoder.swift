// Part of Inkstone. Licence: see LICENSE.

import CSPNG

/// Decodes PNG files with libspng.
enum PNGDecoder {
    /// Decodes any colour type, depth and interlacing.
    ///
    /// - Throws: `ImagingError` with `truncated`, `corrupt` or `tooLarge`.
    static func decode(_ bytes: [UInt8], limits: ImageLimits) throws(ImagingError) -> DecodedImage {
        guard let context = spng_ctx_new(0) else {
            throw ImagingError(.inputOutput, "The PNG decoder could not allocate memory.")
        }
        defer { spng_ctx_free(context) }
        // The library reads from the buffer while it decodes, so decoding happens inside.
        let missing = missingEnd(of: bytes)
        // A whole file is not copied.
        let file = missing.isEmpty ? bytes : bytes + missing
        let result = file.withUnsafeBytes { input in
            Result { () throws(ImagingError) in
                try check(spng_set_png_buffer(context, input.baseAddress, input.count))
                return try decode(context, fileSize: bytes.count, limits: limits)
            }
        }
        return try result.get()
    }

    private static func decode(
        _ context: OpaquePointer,
        fileSize: Int,
        limits: ImageLimits
    ) throws(ImagingError) -> DecodedImage {
        var header = spng_ihdr()
        try check(spng_get_ihdr(context, &header))
        let width = Int(header.width)
        let height = Int(header.height)
        try limits.check(width: width, height: height, format: .png)
        try checkPlausible(header, fileSize: fileSize)
        // Twice: one text may be as large as all of them, and is in memory compressed and decompressed.
        let textLimit = limits.maximumMetadataBytes
        try check(spng_set_chunk_limits(context, textLimit, 2 * textLimit))

        var transparency = spng_trns()
        let transparencyStatus = spng_get_trns(context, &transparency)
        if transparencyStatus != SPNG_ECHUNKAVAIL.rawValue {
            try check(transparencyStatus)
        }
        let kind = UInt32(header.color_type)
        let hasAlpha =
            transparencyStatus == 0 || kind == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA.rawValue
            || kind == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA.rawValue

        var status: Int32 = 0
        let channels = hasAlpha ? 4 : 3
        let format = hasAlpha ? SPNG_FMT_RGBA8.rawValue : SPNG_FMT_RGB8.rawValue
        let flags = hasAlpha ? SPNG_DECODE_TRNS.rawValue : 0
        let count = width * height * channels
        let decoded = [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            // Zeroed, so that a decoder that stops early does not expose old memory.
            buffer.initialize(repeating: 0)
            status = spng_decode_image(
                context,
                buffer.baseAddress,
                count,
                Int32(format),
                Int32(flags)
            )
            initializedCount = count
        }
        try check(status)
        try check(spng_decode_chunks(context))

        let planes = PixelPlanes(interleaved: decoded, hasAlpha: hasAlpha)
        var metadata = ImageMetadata(entries: texts(context))
        let exif = exif(context)
        // Where programs put the comment when they convert another format.
        if metadata.parameters == nil { metadata.parameters = exif?.userComment }
        return try planes.oriented(
            exif?.orientation ?? .upright,
            width: width,
            height: height,
            metadata: metadata,
            format: .png
        )
    }

    /// The end chunk, as every file has it.
    private static let end: [UInt8] = [0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82]

    /// Returns what a file lacks that ends where its end chunk would begin, or in it: nothing of the image is missing.
    private static func missingEnd(of bytes: [UInt8]) -> ArraySlice<UInt8> {
        var offset = 8
        while offset + 12 <= bytes.count {
            let length = bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) }
            guard length <= bytes.count - offset - 12 else { return [] }
            offset += 12 + length
        }
        let rest = bytes[min(offset, bytes.count)...]
        return rest.elementsEqual(end.prefix(rest.count)) && bytes.count >= offset
            ? end.dropFirst(rest.count) : []
    }

    /// Rejects a header with more pixels than deflate can compress into the file.
    ///
    /// Deflate compresses by at most about 1032 to 1, so a file of sixty bytes that claims sixty
    /// megapixels is rejected before memory is allocated for it.
    private static func checkPlausible(
        _ header: spng_ihdr,
        fileSize: Int
    ) throws(ImagingError) {
        let channelCounts: [UInt8: Int] = [0: 1, 2: 3, 3: 1, 4: 2, 6: 4]
        let bits =
            Int(header.width) * Int(header.height) * Int(header.bit_depth)
            * (channelCounts[header.color_type] ?? 1)
        guard bits / 8 <= 1032 * fileSize else {
            throw ImagingError(
                .truncated,
                "The PNG header says \(header.width)x\(header.height) pixels, which a file of "
                    + "\(fileSize) bytes cannot hold.",
                remedy: "Send the whole file."
            )
        }
    }

    private static func texts(_ context: OpaquePointer) -> [ImageMetadata.Entry] {
        var count: UInt32 = 0
        guard spng_get_text(context, nil, &count) == 0, count > 0 else { return [] }
        var items = [spng_text](repeating: spng_text(), count: Int(count))
        guard spng_get_text(context, &items, &count) == 0 else { return [] }
        return items.prefix(Int(count)).map { item in
            let key = withUnsafeBytes(of: item.keyword) { latin1($0.prefix { $0 != 0 }) }
            let bytes = UnsafeRawBufferPointer(start: item.text, count: item.length)
            let isUTF8 = UInt32(bitPattern: item.type) == SPNG_ITXT.rawValue
            return ImageMetadata.Entry(
                key: key,
                text: isUTF8 ? String(decoding: bytes, as: UTF8.self) : latin1(bytes)
            )
        }
    }

    private static func latin1(_ bytes: some Sequence<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        for byte in bytes { text.append(Unicode.Scalar(byte)) }
        return String(text)
    }

    private static func exif(_ context: OpaquePointer) -> ExifBlock? {
        var exif = spng_exif()
        guard spng_get_exif(context, &exif) == 0, let data = exif.data else { return nil }
        return ExifBlock(parsing: Array(UnsafeRawBufferPointer(start: data, count: exif.length)))
    }

    private static let endings = [SPNG_IO_EOF, SPNG_EOF, SPNG_EIDAT_TOO_SHORT, SPNG_EIO].map(
        \.rawValue)

    /// Converts the library's status to an error with a remedy.
    private static func check(_ status: Int32) throws(ImagingError) {
        guard status != 0 else { return }
        let reason = spng_strerror(status).map { String(cString: $0) } ?? "error \(status)"
        if endings.contains(status) {
            throw ImagingError(
                .truncated,
                "The PNG file ends before its image does (\(reason)).",
                remedy: "Send the whole file."
            )
        }
        if status == SPNG_ECHUNK_LIMITS.rawValue {
            throw ImagingError(
                .tooLarge,
                "The PNG file has more metadata than is allowed (\(reason)).",
                remedy: "Save it without metadata."
            )
        }
        throw ImagingError(
            .corrupt,
            "The PNG file is damaged: \(reason).",
            remedy: "Export the image again."
        )
    }
}
