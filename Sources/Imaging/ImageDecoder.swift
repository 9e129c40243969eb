// Part of Inkstone. Licence: see LICENSE.

/// Decodes image files from untrusted sources.
public enum ImageDecoder {
    /// Decodes a PNG, JPEG or WebP file; the first bytes decide which.
    ///
    /// Grey, palette and 16-bit pixels become 8-bit RGB (16 bits by dropping the lower eight),
    /// CMYK is converted without a colour profile, and an Exif orientation is applied. Colour
    /// profiles and gamma are not.
    ///
    /// - Throws: `ImagingError` with `unsupported`, `truncated`, `corrupt` or `tooLarge`.
    public static func decode(
        _ bytes: [UInt8],
        limits: ImageLimits = .standard
    ) throws(ImagingError) -> DecodedImage {
        guard let format = ImageFormat(sniffing: bytes) else {
            throw unknownFormat(bytes)
        }
        switch format {
        case .png: return try PNGDecoder.decode(bytes, limits: limits)
        case .jpeg: return try JPEGDecoder.decode(bytes, limits: limits)
        case .webp: return try WebPDecoder.decode(bytes, limits: limits)
        }
    }

    /// Decodes a file as above, and makes an image of more pixels smaller, with the same proportions.
    ///
    /// - Throws: `ImagingError`.
    public static func decode(
        _ bytes: [UInt8], limits: ImageLimits, reducingTo maximumPixels: Int
    ) throws(ImagingError) -> DecodedImage {
        let decoded = try decode(bytes, limits: limits)
        let (width, height) = (decoded.image.width, decoded.image.height)
        guard width * height > maximumPixels else { return decoded }
        let factor = (Double(maximumPixels) / Double(width * height)).squareRoot()
        return try decoded.resized(
            width: max(1, Int(Double(width) * factor)), height: max(1, Int(Double(height) * factor))
        )
    }

    /// The error for bytes of an unknown format, with the first of them.
    private static func unknownFormat(_ bytes: [UInt8]) -> ImagingError {
        let digits = Array("0123456789abcdef")
        let head = bytes.prefix(8).map { byte in
            String([digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }
        let found =
            bytes.isEmpty
            ? "an empty file"
            : "\(bytes.count) bytes that begin with \(head.joined(separator: " "))"
        return ImagingError(
            .unsupported,
            "Expected a PNG, JPEG or WebP image, found \(found).",
            remedy: "Convert the image to one of these formats."
        )
    }
}
