// Part of Inkstone. Licence: see LICENSE.

extension RGBImage {
    /// Crops to a rectangle.
    ///
    /// - Throws: `ImagingError.invalidArgument` when the rectangle is empty or exceeds the image.
    public func cropped(x: Int, y: Int, width: Int, height: Int) throws(ImagingError) -> RGBImage {
        let window = PlaneWindow(x: x, y: y, width: width, height: height)
        try window.check(insideWidth: self.width, height: self.height)
        let cut = window.cut(from: pixels, rowWidth: self.width, channels: 3)
        return RGBImage(unchecked: cut, width: width, height: height)
    }

    /// Repeats the last column and the last row up to a size.
    ///
    /// - Throws: `ImagingError.invalidArgument` when the size is smaller than the image.
    public func extended(width: Int, height: Int) throws(ImagingError) -> RGBImage {
        try Self.checkSize(width: width, height: height)
        if width == self.width, height == self.height { return self }
        guard width >= self.width, height >= self.height else {
            throw ImagingError(
                .invalidArgument,
                "The image of \(self.width)x\(self.height) is larger than \(width)x\(height).",
                remedy: "Crop or resize it."
            )
        }
        var result = [UInt8]()
        result.reserveCapacity(3 * width * height)
        for row in 0..<height {
            let end = 3 * self.width * (min(row, self.height - 1) + 1)
            result.append(contentsOf: pixels[(end - 3 * self.width)..<end])
            for _ in self.width..<width { result.append(contentsOf: pixels[(end - 3)..<end]) }
        }
        return RGBImage(unchecked: result, width: width, height: height)
    }

    /// Scales to another size with an antialiased Lanczos window of three lobes.
    ///
    /// The sides are scaled independently; crop first to keep the aspect ratio. The result equals
    /// that of the reference pipeline's image library (`ResampleParityTests`), so that input images
    /// have the same effect as there.
    ///
    /// - Throws: `ImagingError.invalidArgument` when a side is below 1.
    public func resized(width: Int, height: Int) throws(ImagingError) -> RGBImage {
        try Self.checkSize(width: width, height: height)
        if width == self.width, height == self.height { return self }
        let scaled = LanczosResampler.resample(
            pixels,
            width: self.width,
            height: self.height,
            channels: 3,
            toWidth: width,
            toHeight: height
        )
        return RGBImage(unchecked: scaled, width: width, height: height)
    }
}

/// A rectangle of an interleaved pixel array.
struct PlaneWindow {
    let x: Int
    let y: Int
    let width: Int
    let height: Int

    /// Rejects an empty rectangle and one that exceeds the image.
    func check(insideWidth imageWidth: Int, height imageHeight: Int) throws(ImagingError) {
        // Written as differences: sums of hostile numbers could overflow.
        guard width > 0, height > 0, x >= 0, y >= 0,
            width <= imageWidth, height <= imageHeight,
            x <= imageWidth - width, y <= imageHeight - height
        else {
            throw ImagingError(
                .invalidArgument,
                "The rectangle \(width)x\(height) at (\(x), \(y)) is not inside the image of "
                    + "\(imageWidth)x\(imageHeight).",
                remedy: "Choose one that does."
            )
        }
    }

    /// Copies the rectangle row by row.
    func cut(from pixels: [UInt8], rowWidth: Int, channels: Int) -> [UInt8] {
        var result = [UInt8]()
        result.reserveCapacity(width * height * channels)
        for row in y..<(y + height) {
            let start = (row * rowWidth + x) * channels
            result.append(contentsOf: pixels[start..<(start + width * channels)])
        }
        return result
    }
}
