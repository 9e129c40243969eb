// Part of Inkstone. Licence: see LICENSE.

import CWebP

/// Decodes still WebP files with libwebp.
enum WebPDecoder {
    /// Decodes lossy and lossless files, with and without alpha; animations are rejected.
    ///
    /// - Throws: `ImagingError` with `truncated`, `corrupt`, `unsupported` or `tooLarge`.
    static func decode(_ bytes: [UInt8], limits: ImageLimits) throws(ImagingError) -> DecodedImage {
        try checkLength(bytes)
        var features = WebPBitstreamFeatures()
        try check(WebPGetFeatures(bytes, bytes.count, &features))
        let width = Int(features.width)
        let height = Int(features.height)
        try limits.check(width: width, height: height, format: .webp)
        guard features.has_animation == 0 else {
            throw ImagingError(
                .unsupported,
                "The WebP file is an animation, expected one still image.",
                remedy: "Save the frame as a separate image."
            )
        }
        let hasAlpha = features.has_alpha != 0
        let decoded = try decodePixels(bytes, width: width, height: height, hasAlpha: hasAlpha)
        let exif = readExif(bytes, limits: limits)
        var metadata = ImageMetadata()
        metadata.parameters = exif?.userComment
        return try PixelPlanes(interleaved: decoded, hasAlpha: hasAlpha).oriented(
            exif?.orientation ?? .upright,
            width: width,
            height: height,
            metadata: metadata,
            format: .webp
        )
    }

    private static func decodePixels(
        _ bytes: [UInt8],
        width: Int,
        height: Int,
        hasAlpha: Bool
    ) throws(ImagingError) -> [UInt8] {
        var config = WebPDecoderConfig()
        guard WebPInitDecoderConfig(&config) != 0 else {
            throw ImagingError(
                .inputOutput,
                "The WebP library is not the version this program was built for.",
                remedy: "Install the libwebp that belongs to it."
            )
        }
        defer { WebPFreeDecBuffer(&config.output) }
        let channels = hasAlpha ? 4 : 3
        let count = width * height * channels
        var status = VP8_STATUS_OK
        let pixels = [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            // Zeroed, so that a decoder that stops early does not expose old memory.
            buffer.initialize(repeating: 0)
            config.output.colorspace = hasAlpha ? MODE_RGBA : MODE_RGB
            config.output.is_external_memory = 1
            config.output.u.RGBA = WebPRGBABuffer(
                rgba: buffer.baseAddress,
                stride: Int32(width * channels),
                size: count
            )
            status = WebPDecode(bytes, bytes.count, &config)
            initializedCount = count
        }
        try check(status)
        return pixels
    }

    /// Compares the length in the RIFF header with the size of the file.
    private static func checkLength(_ bytes: [UInt8]) throws(ImagingError) {
        let length = (4..<8).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) } + 8
        guard length <= bytes.count else {
            throw ImagingError(
                .truncated,
                "The WebP header says \(length) bytes, found \(bytes.count).",
                remedy: "Send the whole file."
            )
        }
    }

    /// The Exif block, `nil` when there is none or it is larger than allowed.
    private static func readExif(_ bytes: [UInt8], limits: ImageLimits) -> ExifBlock? {
        bytes.withUnsafeBufferPointer { input in
            var data = WebPData(bytes: input.baseAddress, size: input.count)
            guard let mux = WebPMuxCreate(&data, 0) else { return nil }
            defer { WebPMuxDelete(mux) }
            var chunk = WebPData()
            guard WebPMuxGetChunk(mux, "EXIF", &chunk) == WEBP_MUX_OK,
                chunk.size <= limits.maximumMetadataBytes
            else { return nil }
            return ExifBlock(
                parsing: Array(UnsafeBufferPointer(start: chunk.bytes, count: chunk.size))
            )
        }
    }

    /// Converts the library's status to an error with a remedy.
    private static func check(_ status: VP8StatusCode) throws(ImagingError) {
        switch status {
        case VP8_STATUS_OK:
            return
        case VP8_STATUS_NOT_ENOUGH_DATA, VP8_STATUS_SUSPENDED:
            throw ImagingError(
                .truncated,
                "The WebP file ends before its image does.",
                remedy: "Send the whole file."
            )
        case VP8_STATUS_UNSUPPORTED_FEATURE:
            throw ImagingError(
                .unsupported,
                "The WebP file uses an unsupported feature.",
                remedy: "Save it as a still image."
            )
        case VP8_STATUS_OUT_OF_MEMORY:
            throw ImagingError(
                .tooLarge,
                "The WebP image needs more memory than is available.",
                remedy: "Make it smaller and send it again."
            )
        default:
            throw ImagingError(
                .corrupt,
                "The WebP file is damaged (code \(status.rawValue)).",
                remedy: "Export the image again."
            )
        }
    }
}
