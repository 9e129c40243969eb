// Part of Inkstone. Licence: see LICENSE.

/// A file format with its compression settings.
public enum ImageEncoding: Sendable, Equatable {
    /// PNG with a deflate level from 0 (stored) to 9 (slowest).
    case png(compressionLevel: Int = 2)
    /// JPEG with a quality from 1 to 100; chroma is not subsampled from 90 on.
    case jpeg(quality: Int = 92)
    /// Lossy WebP with a quality from 1 to 100.
    case webp(quality: Int = 90)
    /// Lossless WebP with an effort from 0 (fast) to 9 (small).
    case webpLossless(effort: Int = 3)

    /// The file format.
    public var format: ImageFormat {
        switch self {
        case .png: .png
        case .jpeg: .jpeg
        case .webp, .webpLossless: .webp
        }
    }

    /// The default settings of a format.
    public init(format: ImageFormat) {
        switch format {
        case .png: self = .png()
        case .jpeg: self = .jpeg()
        case .webp: self = .webp()
        }
    }

    /// The settings of a format for a quality from 1 to 100; PNG ignores it.
    public init(format: ImageFormat, quality: Int) {
        switch format {
        case .png: self = .png()
        case .jpeg: self = .jpeg(quality: quality)
        case .webp: self = .webp(quality: quality)
        }
    }
}

/// Encodes images.
public enum ImageEncoder {
    /// Encodes an image and its text metadata.
    ///
    /// The output is deterministic for given library versions: it depends on no time, thread or
    /// random number. Empty texts are omitted.
    ///
    /// - Throws: `ImagingError` with `invalidArgument` for a setting out of range, `tooLarge` for
    ///   a side that the format does not support, `metadataTooLarge` for a text that does not fit.
    public static func encode(
        _ image: RGBImage,
        as encoding: ImageEncoding = .png(),
        metadata: ImageMetadata = ImageMetadata()
    ) throws(ImagingError) -> [UInt8] {
        let format = encoding.format
        var metadata = metadata
        metadata.entries.removeAll { $0.text.isEmpty }
        guard max(image.width, image.height) <= format.maximumSide else {
            throw ImagingError(
                .tooLarge,
                "\(format.rawValue.uppercased()) supports sides of at most \(format.maximumSide) "
                    + "pixels, found \(image.width)x\(image.height).",
                remedy: "Write PNG instead."
            )
        }
        switch encoding {
        case .png(let level):
            try check(level, in: 0...9, name: "PNG compression level")
            return try PNGEncoder.encode(image, level: level, metadata: metadata)
        case .jpeg(let quality):
            try check(quality, in: 1...100, name: "JPEG quality")
            return try JPEGEncoder.encode(image, quality: quality, metadata: metadata)
        case .webp(let quality):
            try check(quality, in: 1...100, name: "WebP quality")
            return try WebPEncoder.encode(image, mode: .lossy(quality), metadata: metadata)
        case .webpLossless(let effort):
            try check(effort, in: 0...9, name: "WebP effort")
            return try WebPEncoder.encode(image, mode: .lossless(effort), metadata: metadata)
        }
    }

    private static func check(
        _ value: Int,
        in range: ClosedRange<Int>,
        name: String
    ) throws(ImagingError) {
        guard range.contains(value) else {
            throw ImagingError(
                .invalidArgument,
                "The \(name) is \(value), expected \(range.lowerBound) to \(range.upperBound).",
                remedy: "Choose a value from that range."
            )
        }
    }
}
