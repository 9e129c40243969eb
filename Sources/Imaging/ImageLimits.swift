// Part of Inkstone. Licence: see LICENSE.

/// What a decoder may spend on a file that somebody else made.
///
/// Every limit is checked against the file's header before anything of that size is allocated.
public struct ImageLimits: Sendable, Equatable {
    /// The most pixels, width times height.
    public var maximumPixels: Int
    /// The most bytes of text metadata, also after decompression.
    public var maximumMetadataBytes: Int
    /// The largest file that ``ImageFile`` reads from a disk.
    public var maximumFileBytes: Int

    /// 64 megapixels, 4 MiB of text, files of 256 MiB.
    public static let standard = ImageLimits()

    /// Makes limits; whatever is left out has its standard value.
    public init(
        maximumPixels: Int = 64_000_000,
        maximumMetadataBytes: Int = 4 << 20,
        maximumFileBytes: Int = 256 << 20
    ) {
        self.maximumPixels = maximumPixels
        self.maximumMetadataBytes = maximumMetadataBytes
        self.maximumFileBytes = maximumFileBytes
    }

    /// Refuses a size that no picture has or that these limits forbid.
    ///
    /// - Throws: `corrupt` for a side below 1, `tooLarge` for too many pixels.
    func check(width: Int, height: Int, format: ImageFormat) throws(ImagingError) {
        let name = format.rawValue.uppercased()
        guard width > 0, height > 0 else {
            throw ImagingError(
                .corrupt,
                "The \(name) header says \(width)x\(height) pixels, expected at least 1x1.",
                remedy: "Export the image anew."
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
