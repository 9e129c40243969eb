// Part of Inkstone. Licence: see LICENSE.

import CTurboJPEG

/// Decodes JPEG files with libjpeg-turbo.
enum JPEGDecoder {
    /// Maximum number of scans of a progressive file; encoders write about ten.
    ///
    /// A small file can specify thousands of scans of a large image, each of which takes time
    /// proportional to the number of pixels.
    private static let maximumScans = 100

    /// Decodes baseline and progressive files in grey, colour and CMYK.
    ///
    /// - Throws: `ImagingError` with `truncated`, `corrupt`, `unsupported` or `tooLarge`. Warnings of the library about
    ///   the image (missing data, bad codes) are errors here: an incomplete image is not accepted.
    static func decode(_ bytes: [UInt8], limits: ImageLimits) throws(ImagingError) -> DecodedImage {
        guard let handle = tjInitDecompress() else {
            throw ImagingError(.inputOutput, "The JPEG decoder could not allocate memory.")
        }
        defer { tjDestroy(handle) }
        let header = try readHeader(handle, bytes)
        try limits.check(width: header.width, height: header.height, format: .jpeg)
        let segments = JPEGSegments(bytes)
        guard segments.scanCount <= maximumScans else {
            throw ImagingError(
                .unsupported,
                "The JPEG file has \(segments.scanCount) scans, expected at most \(maximumScans).",
                remedy: "Save it as a baseline JPEG."
            )
        }

        let pixelFormat = header.isCMYK ? TJPF_CMYK : TJPF_RGB
        let count = header.width * header.height * (header.isCMYK ? 4 : 3)
        var status: Int32 = 0
        let decoded = [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            // Zeroed, so that a decoder that stops early does not expose old memory.
            buffer.initialize(repeating: 0)
            // Again if the first warning is harmless: the last one must be so too.
            for flag in [TJFLAG_STOPONWARNING, 0] where status == 0 || hasHarmlessWarning(handle) {
                if flag == 0, status == 0 { break }
                status = tjDecompress2(
                    handle,
                    bytes,
                    UInt(bytes.count),
                    buffer.baseAddress,
                    Int32(header.width),
                    0,
                    Int32(header.height),
                    Int32(pixelFormat.rawValue),
                    TJFLAG_ACCURATEDCT | flag
                )
            }
            initializedCount = count
        }
        guard status == 0 || hasHarmlessWarning(handle) else { throw failure(handle) }

        let rgb =
            header.isCMYK
            ? convertCMYK(decoded, isInverted: segments.hasAdobeSegment) : decoded
        var metadata = ImageMetadata()
        metadata.parameters = segments.exif?.userComment
        return try PixelPlanes(rgb: rgb).oriented(
            segments.exif?.orientation ?? .upright,
            width: header.width,
            height: header.height,
            metadata: metadata,
            format: .jpeg
        )
    }

    /// Whether the last message of the library is about bytes beside the image.
    private static func hasHarmlessWarning(_ handle: tjhandle) -> Bool {
        guard tjGetErrorCode(handle) == Int32(TJERR_WARNING.rawValue),
            let message = tjGetErrorStr2(handle).map({ String(cString: $0) })
        else { return false }
        return harmlessWarnings.contains { message.contains($0) }
    }

    /// Padding between segments, and markers of unknown versions, which cameras and editors write.
    private static let harmlessWarnings = [
        "extraneous bytes before marker", "Unknown Adobe color transform code",
        "unknown JFIF revision number",
    ]

    private struct Header {
        let width: Int
        let height: Int
        let isCMYK: Bool
    }

    private static func readHeader(
        _ handle: tjhandle,
        _ bytes: [UInt8]
    ) throws(ImagingError) -> Header {
        var width: Int32 = 0
        var height: Int32 = 0
        var subsampling: Int32 = 0
        var space: Int32 = 0
        let status = tjDecompressHeader3(
            handle,
            bytes,
            UInt(bytes.count),
            &width,
            &height,
            &subsampling,
            &space
        )
        guard status == 0 else { throw failure(handle) }
        let isCMYK = space == Int32(TJCS_CMYK.rawValue) || space == Int32(TJCS_YCCK.rawValue)
        return Header(width: Int(width), height: Int(height), isCMYK: isCMYK)
    }

    /// Converts CMYK to RGB without a colour profile, as viewers without one do.
    private static func convertCMYK(_ pixels: [UInt8], isInverted: Bool) -> [UInt8] {
        let count = pixels.count / 4
        let flip: UInt8 = isInverted ? 0 : 255
        return [UInt8](unsafeUninitializedCapacity: 3 * count) { output, initializedCount in
            for pixel in 0..<count {
                let black = Int(pixels[4 * pixel + 3] ^ flip)
                for channel in 0..<3 {
                    let ink = Int(pixels[4 * pixel + channel] ^ flip)
                    output[3 * pixel + channel] = UInt8((ink * black + 127) / 255)
                }
            }
            initializedCount = 3 * count
        }
    }

    /// Converts the library's message to an error with a remedy.
    private static func failure(_ handle: tjhandle) -> ImagingError {
        let reason = tjGetErrorStr2(handle).map { String(cString: $0) } ?? "unknown error"
        if reason.contains("Premature end") || reason.contains("empty input") {
            return ImagingError(
                .truncated,
                "The JPEG file ends before its image does (\(reason)).",
                remedy: "Send the whole file."
            )
        }
        if reason.contains("Unsupported") || reason.contains("not supported")
            || reason.contains("not implemented") || reason.contains("subsampling type")
        {
            return ImagingError(
                .unsupported,
                "The JPEG file is of an unsupported kind (\(reason)).",
                remedy: "Save it as a baseline 8-bit JPEG."
            )
        }
        return ImagingError(
            .corrupt,
            "The JPEG file is damaged: \(reason).",
            remedy: "Export the image again."
        )
    }
}
