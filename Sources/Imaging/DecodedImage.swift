// Part of Inkstone. Licence: see LICENSE.

/// An image read from a file, with its alpha plane, metadata and format.
public struct DecodedImage: Sendable, Equatable {
    /// The colours, never premultiplied: fully transparent pixels keep the colours stored in the file.
    public let image: RGBImage
    /// Opacity, `[height, width]`, 255 = opaque; `nil` when the file has no alpha channel.
    public let alpha: [UInt8]?
    /// The text metadata of the file.
    public let metadata: ImageMetadata
    /// The format of the file.
    public let format: ImageFormat

    /// Creates an image from its parts.
    ///
    /// - Throws: `ImagingError.invalidArgument` unless `alpha` has one value for each pixel.
    public init(
        image: RGBImage,
        alpha: [UInt8]? = nil,
        metadata: ImageMetadata = ImageMetadata(),
        format: ImageFormat
    ) throws(ImagingError) {
        if let alpha, alpha.count != image.width * image.height {
            throw ImagingError(
                .invalidArgument,
                "The alpha plane has \(alpha.count) values, expected "
                    + "\(image.width * image.height) for an image of "
                    + "\(image.width)x\(image.height).",
                remedy: "Pass one value for each pixel."
            )
        }
        self.image = image
        self.alpha = alpha
        self.metadata = metadata
        self.format = format
    }

    /// Composites the image over a background of one colour.
    public func flattened(
        onto color: (red: UInt8, green: UInt8, blue: UInt8) = (255, 255, 255)
    ) -> RGBImage {
        guard let alpha else { return image }
        let background = [Int(color.red), Int(color.green), Int(color.blue)]
        var pixels = image.pixels
        for (index, value) in alpha.enumerated() where value != 255 {
            let opacity = Int(value)
            for channel in 0..<3 {
                let offset = 3 * index + channel
                let blend = Int(pixels[offset]) * opacity + background[channel] * (255 - opacity)
                pixels[offset] = UInt8((blend + 127) / 255)
            }
        }
        return RGBImage(unchecked: pixels, width: image.width, height: image.height)
    }

    /// The transparency as an image, white where pixels are transparent; `nil` for an opaque image.
    public var transparency: RGBImage? {
        guard let alpha, alpha.contains(where: { $0 != 255 }) else { return nil }
        return RGBImage(
            unchecked: alpha.flatMap { [255 - $0, 255 - $0, 255 - $0] }, width: image.width,
            height: image.height)
    }

    /// The opacity as an image, white where pixels are opaque; `nil` for an opaque image.
    public var opacity: RGBImage? {
        guard let alpha, alpha.contains(where: { $0 != 255 }) else { return nil }
        return RGBImage(
            unchecked: alpha.flatMap { [$0, $0, $0] }, width: image.width, height: image.height)
    }

    /// Crops colours and alpha to a rectangle.
    ///
    /// - Throws: `ImagingError.invalidArgument` when the rectangle is empty or exceeds the image.
    public func cropped(
        x: Int,
        y: Int,
        width: Int,
        height: Int
    ) throws(ImagingError) -> DecodedImage {
        let window = PlaneWindow(x: x, y: y, width: width, height: height)
        return try DecodedImage(
            image: image.cropped(x: x, y: y, width: width, height: height),
            alpha: alpha.map { window.cut(from: $0, rowWidth: image.width, channels: 1) },
            metadata: metadata,
            format: format
        )
    }

    /// Scales colours and alpha independently to another size.
    ///
    /// - Throws: `ImagingError.invalidArgument` when a side is below 1.
    public func resized(width: Int, height: Int) throws(ImagingError) -> DecodedImage {
        let scaled = try image.resized(width: width, height: height)
        let scaledAlpha = alpha.map {
            LanczosResampler.resample(
                $0,
                width: image.width,
                height: image.height,
                channels: 1,
                toWidth: width,
                toHeight: height
            )
        }
        return try DecodedImage(
            image: scaled,
            alpha: scaledAlpha,
            metadata: metadata,
            format: format
        )
    }
}
