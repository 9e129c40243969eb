// Part of Inkstone. Licence: see LICENSE.

public import Imaging

/// How a control image of another shape is brought to the size of the result.
public enum Fitting: String, Sendable, Codable, CaseIterable {
    /// Both sides are scaled independently.
    case stretch
    /// It is scaled to cover the result, and cropped to its centre.
    case crop
    /// It is scaled to fit into the result, with black around it.
    case pad

    /// Returns an image of the given size.
    ///
    /// - Throws: `ImagingError` when a side is below 1.
    public func fitted(
        _ image: RGBImage, width: Int, height: Int
    ) throws(ImagingError) -> RGBImage {
        guard self != .stretch, image.width * height != image.height * width else {
            return try image.resized(width: width, height: height)
        }
        let across = Double(width) / Double(image.width)
        let down = Double(height) / Double(image.height)
        let scale = self == .crop ? max(across, down) : min(across, down)
        let scaled = try image.resized(
            width: max(1, Int((Double(image.width) * scale).rounded())),
            height: max(1, Int((Double(image.height) * scale).rounded())))
        if self == .crop {
            return try scaled.cropped(
                x: max(0, (scaled.width - width) / 2), y: max(0, (scaled.height - height) / 2),
                width: width, height: height)
        }
        var pixels = [UInt8](repeating: 0, count: 3 * width * height)
        let (left, top) = ((width - scaled.width) / 2, (height - scaled.height) / 2)
        for row in 0..<scaled.height {
            let from = 3 * row * scaled.width
            let to = 3 * ((top + row) * width + left)
            pixels.replaceSubrange(
                to..<(to + 3 * scaled.width), with: scaled.pixels[from..<(from + 3 * scaled.width)])
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }
}
