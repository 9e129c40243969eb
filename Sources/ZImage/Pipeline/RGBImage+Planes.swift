// Part of Inkstone. Licence: see LICENSE.

import Imaging

extension RGBImage {
    /// Creates an image of 8-bit pixels from three planes in -1...1, rounded half to even.
    init(_ planes: Planes) throws(ImagingError) {
        let area = planes.height * planes.width
        var pixels = [UInt8](repeating: 0, count: 3 * area)
        for color in 0..<3 {
            for pixel in 0..<area {
                let value = planes.numbers[color * area + pixel] * 0.5 + 0.5
                let level = (min(max(value, 0), 1) * 255).rounded(.toNearestOrEven)
                pixels[pixel * 3 + color] = UInt8(level)
            }
        }
        try self.init(width: planes.width, height: planes.height, pixels: pixels)
    }
}

extension Planes {
    /// Creates three planes in -1...1 from an image.
    init(_ image: RGBImage) {
        let area = image.width * image.height
        var numbers = [Float](repeating: 0, count: 3 * area)
        for pixel in 0..<area {
            for color in 0..<3 {
                numbers[color * area + pixel] = Float(image.pixels[pixel * 3 + color]) / 255 * 2 - 1
            }
        }
        self.init(numbers, channels: 3, height: image.height, width: image.width)
    }
}
