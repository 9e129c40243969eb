// Part of Inkstone. Licence: see LICENSE.

/// Resource limits for decoding untrusted files.
///
/// Every limit is checked against the file's header before memory is allocated.
public struct ImageLimits: Sendable, Equatable {
    /// Maximum number of pixels, width times height.
    public var maximumPixels: Int
    /// Maximum number of bytes of text metadata, also after decompression.
    public var maximumMetadataBytes: Int
    /// Maximum number of bytes of a file that ``ImageFile`` reads.
    public var maximumFileBytes: Int

    /// 64 megapixels, 4 MiB of text, files of 256 MiB.
    public static let standard = ImageLimits()

    /// Creates limits; omitted ones have their defaults.
    public init(
        maximumPixels: Int = 64_000_000,
        maximumMetadataBytes: Int = 4 << 20,
        maximumFileBytes: Int = 256 << 20
    ) {
        self.maximumPixels = maximumPixels
        self.maximumMetadataBytes = maximumMetadataBytes
        self.maximumFileBytes = maximumFileBytes
    }

    /// Validates the size of an image.
    ///
    /// - Throws: `corrupt` for a side below 1, `tooLarge` for too many pixels.
    func check(width: Int, height: Int, format: ImageFormat) throws(ImagingError) {
        let name = format.rawValue.uppercased()
        guard width > 0, height > 0 else {
            throw ImagingError(
                .corrupt,
                "The \(name) header says \(width)x\(height) pixels, expected at least 1x1.",
                remedy: "Export the image again."
            )
        }
        let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
        guard !overflow, pixels <= maximumPixels else {
            throw ImagingError(
                .tooLarge,
                "The \(name) image has \(width)x\(height) pixels, expected at most "
                    + "\(maximumPixels) in all.",
                remedy: "Make it smaller and send it again."
            )
        }
    }
}
