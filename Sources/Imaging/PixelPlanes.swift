// Part of Inkstone. Licence: see LICENSE.

/// Colour and alpha planes as decoded, before the orientation is applied.
struct PixelPlanes {
    var rgb: [UInt8]
    var alpha: [UInt8]?

    /// Creates planes from RGB or RGBA pixels.
    init(interleaved pixels: [UInt8], hasAlpha: Bool) {
        guard hasAlpha else {
            self.init(rgb: pixels)
            return
        }
        let count = pixels.count / 4
        let rgb = [UInt8](unsafeUninitializedCapacity: 3 * count) { buffer, initializedCount in
            for pixel in 0..<count {
                buffer[3 * pixel] = pixels[4 * pixel]
                buffer[3 * pixel + 1] = pixels[4 * pixel + 1]
                buffer[3 * pixel + 2] = pixels[4 * pixel + 2]
            }
            initializedCount = 3 * count
        }
        let alpha = [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            for pixel in 0..<count { buffer[pixel] = pixels[4 * pixel + 3] }
            initializedCount = count
        }
        self.init(rgb: rgb, alpha: alpha)
    }

    /// Creates planes from separate buffers.
    init(rgb: [UInt8], alpha: [UInt8]? = nil) {
        self.rgb = rgb
        self.alpha = alpha
    }

    /// Applies the orientation and creates the image.
    func oriented(
        _ orientation: ImageOrientation,
        width: Int,
        height: Int,
        metadata: ImageMetadata,
        format: ImageFormat
    ) throws(ImagingError) -> DecodedImage {
        let size = orientation.uprightSize(width: width, height: height)
        let image = try RGBImage(
            width: size.width,
            height: size.height,
            pixels: orientation.apply(to: rgb, width: width, height: height, channels: 3)
        )
        return try DecodedImage(
            image: image,
            alpha: alpha.map {
                orientation.apply(to: $0, width: width, height: height, channels: 1)
            },
            metadata: metadata,
            format: format
        )
    }
}
