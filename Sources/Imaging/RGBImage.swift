// Part of Inkstone. Licence: see LICENSE.

/// An 8-bit RGB image in memory.
///
/// - Shapes: `pixels` is `[height, width, 3]`, row-major, top row first.
public struct RGBImage: Sendable, Equatable {
    /// Columns.
    public let width: Int
    /// Rows.
    public let height: Int
    /// The values, `3 * width * height` of them.
    public let pixels: [UInt8]

    /// Creates an image from pixels.
    ///
    /// - Throws: `ImagingError.invalidArgument` when a side is below 1 or the number of bytes is
    ///   not `3 * width * height`.
    public init(width: Int, height: Int, pixels: [UInt8]) throws(ImagingError) {
        try Self.checkSize(width: width, height: height)
        guard pixels.count == 3 * width * height else {
            throw ImagingError(
                .invalidArgument,
                "An RGB image of \(width)x\(height) needs \(3 * width * height) bytes, "
                    + "found \(pixels.count).",
                remedy: "Pass red, green and blue of every pixel."
            )
        }
        self.init(unchecked: pixels, width: width, height: height)
    }

    /// Creates an image of one colour.
    ///
    /// - Throws: `ImagingError.invalidArgument` when a side is below 1.
    public init(
        width: Int,
        height: Int,
        filledWith color: (red: UInt8, green: UInt8, blue: UInt8)
    ) throws(ImagingError) {
        try Self.checkSize(width: width, height: height)
        var pixels = [UInt8]()
        pixels.reserveCapacity(3 * width * height)
        for _ in 0..<(width * height) {
            pixels.append(color.red)
            pixels.append(color.green)
            pixels.append(color.blue)
        }
        self.init(unchecked: pixels, width: width, height: height)
    }

    /// The colour of a pixel, `nil` outside the image.
    public subscript(x: Int, y: Int) -> (red: UInt8, green: UInt8, blue: UInt8)? {
        guard x >= 0, x < width, y >= 0, y < height else { return nil }
        let offset = 3 * (y * width + x)
        return (pixels[offset], pixels[offset + 1], pixels[offset + 2])
    }

    /// Creates an image from pixels of a validated count.
    init(unchecked pixels: [UInt8], width: Int, height: Int) {
        assert(pixels.count == 3 * width * height)
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// Maximum number of pixels of an image in memory.
    static let maximumPixels = 1 << 29

    /// Rejects sides below 1 and sizes whose byte count overflows.
    static func checkSize(width: Int, height: Int) throws(ImagingError) {
        // A division, because the product of two hostile numbers could overflow.
        guard width > 0, height > 0, width <= maximumPixels / height else {
            throw ImagingError(
                .invalidArgument,
                "The image size is \(width)x\(height), expected sides of at least 1 and at most "
                    + "\(maximumPixels) pixels in all.",
                remedy: "Ask for another size."
            )
        }
    }
}
