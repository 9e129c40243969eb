// Part of Inkstone. Licence: see LICENSE.

import Foundation
package import Imaging

/// Images of coloured squares: cheap to generate, and different for different parameters.
package enum MockImage {
    /// Generates an image as a function of a text.
    package static func generate(_ text: String, width: Int, height: Int) throws -> RGBImage {
        // FNV-1a: the same on every machine, unlike Swift's own hashes.
        let seed = text.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3
        }
        var generator = SplitMix64(seed: seed)
        let columns = (width + 15) / 16
        let rows = (height + 15) / 16
        let colors = (0..<(columns * rows)).map { _ in generator.next() }
        var pixels = [UInt8](repeating: 0, count: 3 * width * height)
        for y in 0..<height {
            for x in 0..<width {
                let color = colors[y / 16 * columns + x / 16]
                let offset = 3 * (y * width + x)
                pixels[offset] = UInt8(truncatingIfNeeded: color)
                pixels[offset + 1] = UInt8(truncatingIfNeeded: color >> 8)
                pixels[offset + 2] = UInt8(truncatingIfNeeded: color >> 16)
            }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }

    /// A grey image.
    static func grey(width: Int, height: Int) throws -> RGBImage {
        try RGBImage(
            width: width, height: height, filledWith: (red: 128, green: 128, blue: 128))
    }
}
