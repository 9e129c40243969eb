// Part of Inkstone. Licence: see LICENSE.

/// A file format together with how hard and how exactly to compress.
public enum ImageEncoding: Sendable, Equatable {
    /// PNG with a deflate level from 0 (stored) to 9 (slowest).
    case png(compressionLevel: Int = 2)
    /// JPEG with a quality from 1 to 100; colour is kept at full resolution from 90 on.
    case jpeg(quality: Int = 92)
    /// WebP with loss, with a quality from 1 to 100.
    case webp(quality: Int = 90)
    /// WebP without loss, with an effort from 0 (fast) to 9 (small).
    case webpLossless(effort: Int = 3)

    /// The format of the files.
    public var format: ImageFormat {
        switch self {
        case .png: .png
        case .jpeg: .jpeg
        case .webp, .webpLossless: .webp
        }
    }

    /// The usual settings of a format.
    public init(format: ImageFormat) {
        switch format {
        case .png: self = .png()
        case .jpeg: self = .jpeg()
        case .webp: self = .webp()
        }
    }

    /// The settings of a format for a quality from 1 to 100, which PNG does not have.
    public init(format: ImageFormat, quality: Int) {
        switch format {
        case .png: self = .png()
        case .jpeg: self = .jpeg(quality: quality)
        case .webp: self = .webp(quality: quality)
        }
    }
}

/// Turns pictures into files.
public enum ImageEncoder {
    /// Writes a picture and its texts as the bytes of a file.
    ///
    /// The same input gives the same bytes with the same libraries: no time, no thread and no
    /// random number has a part in it. Empty texts are left out.
    ///
    /// - Throws: `ImagingError` with `invalidArgument` for a setting out of range, `tooLarge` for
    ///   a side that the format cannot hold, `metadataTooLarge` for a text that does not fit.
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
                "\(format.rawValue.uppercased()) holds sides of at most \(format.maximumSide) "
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
