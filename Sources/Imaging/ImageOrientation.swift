// Part of Inkstone. Licence: see LICENSE.

/// The orientation of stored rows and columns, with the values of the Exif tag.
///
/// - Source: Exif 2.32, tag 0x0112 Orientation.
enum ImageOrientation: UInt16 {
    case upright = 1
    case mirrored
    case upsideDown
    case flipped
    case transposed
    case turnedRight
    case transversed
    case turnedLeft

    /// Whether rows and columns are exchanged.
    private var swapsAxes: Bool { rawValue >= 5 }

    /// The size after the orientation is applied.
    func uprightSize(width: Int, height: Int) -> (width: Int, height: Int) {
        swapsAxes ? (height, width) : (width, height)
    }

    /// Rearranges interleaved pixels into the upright orientation.
    func apply(to pixels: [UInt8], width: Int, height: Int, channels: Int) -> [UInt8] {
        guard self != .upright else { return pixels }
        let size = uprightSize(width: width, height: height)
        let count = pixels.count
        return [UInt8](unsafeUninitializedCapacity: count) { output, initializedCount in
            var target = 0
            for y in 0..<size.height {
                for x in 0..<size.width {
                    let source = storedPosition(x: x, y: y, width: width, height: height)
                    let start = (source.y * width + source.x) * channels
                    for channel in 0..<channels {
                        output[target] = pixels[start + channel]
                        target += 1
                    }
                }
            }
            initializedCount = count
        }
    }

    /// The stored position of the pixel shown at a position.
    private func storedPosition(x: Int, y: Int, width: Int, height: Int) -> (x: Int, y: Int) {
        let right = width - 1
        let bottom = height - 1
        switch self {
        case .upright: return (x, y)
        case .mirrored: return (right - x, y)
        case .upsideDown: return (right - x, bottom - y)
        case .flipped: return (x, bottom - y)
        case .transposed: return (y, x)
        case .turnedRight: return (y, bottom - x)
        case .transversed: return (right - y, bottom - x)
        case .turnedLeft: return (right - y, x)
        }
    }
}
