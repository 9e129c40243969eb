// Part of Inkstone. Licence: see LICENSE.

import Imaging

/// A picture to start from: a ramp with a hard edge.
enum TestPicture {
    static func write(to path: String, as format: ImageFormat) throws {
        let (width, height) = (48, 40)
        var pixels: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width {
                pixels += [UInt8(5 * x), UInt8(6 * y), x < width / 2 ? 220 : 30]
            }
        }
        let image = try RGBImage(width: width, height: height, pixels: pixels)
        let bytes = try ImageEncoder.encode(image, as: ImageEncoding(format: format))
        try ImageFile.writeAtomically(bytes, to: path)
    }
}
