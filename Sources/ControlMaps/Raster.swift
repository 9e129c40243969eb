// Part of Inkstone. Licence: see LICENSE.

import Imaging

/// Numbers of the pixels of an image.
///
/// - Shapes: `numbers` is `[height, width, channels]`, row-major.
struct Raster<Number: Sendable>: Sendable {
    let width: Int
    let height: Int
    let channels: Int
    var numbers: [Number]

    init(width: Int, height: Int, channels: Int, _ numbers: [Number]) {
        precondition(numbers.count == width * height * channels, "size of a raster")
        self.width = width
        self.height = height
        self.channels = channels
        self.numbers = numbers
    }

    /// Converts each number.
    func map<Other>(_ body: (Number) -> Other) -> Raster<Other> {
        Raster<Other>(width: width, height: height, channels: channels, numbers.map(body))
    }

    /// Index of a coordinate outside 0..<count, reflected without repeating the edge.
    static func reflected(_ index: Int, _ count: Int) -> Int {
        if count == 1 { return 0 }
        var index = index
        while index < 0 || index >= count {
            index = index < 0 ? -index : 2 * (count - 1) - index
        }
        return index
    }
}

extension Raster where Number: Numeric {
    /// Convolves with a symmetric kernel along rows or columns.
    func convolved(_ weights: [Number], alongRows: Bool) -> Raster {
        let reach = weights.count / 2
        let (length, lines) = alongRows ? (width, height) : (height, width)
        let (step, line) =
            alongRows ? (channels, width * channels) : (width * channels, channels)
        var result = numbers
        var padded = [Number](repeating: 0, count: length + 2 * reach)
        for row in 0..<lines {
            for channel in 0..<channels {
                let start = row * line + channel
                for index in padded.indices {
                    padded[index] =
                        numbers[start + step * Self.reflected(index - reach, length)]
                }
                for index in 0..<length {
                    var sum: Number = 0
                    for tap in weights.indices { sum += weights[tap] * padded[index + tap] }
                    result[start + step * index] = sum
                }
            }
        }
        return Raster(width: width, height: height, channels: channels, result)
    }
}

extension Raster where Number == UInt8 {
    /// The pixels of an image.
    init(_ image: RGBImage) {
        self.init(width: image.width, height: image.height, channels: 3, image.pixels)
    }

    /// The luminance of an image, rounded as OpenCV rounds it.
    init(greyOf image: RGBImage) {
        var grey: [UInt8] = []
        grey.reserveCapacity(image.width * image.height)
        for at in stride(from: 0, to: image.pixels.count, by: 3) {
            let red = 9_798 * Int(image.pixels[at])
            let green = 19_235 * Int(image.pixels[at + 1])
            let blue = 3_735 * Int(image.pixels[at + 2])
            grey.append(UInt8((red + green + blue + 1 << 14) >> 15))
        }
        self.init(width: image.width, height: image.height, channels: 1, grey)
    }

    /// The image with these pixels; one channel becomes three equal ones.
    ///
    /// - Throws: `ImagingError`.
    func image() throws(ImagingError) -> RGBImage {
        var pixels = numbers
        if channels == 1 {
            pixels = []
            pixels.reserveCapacity(3 * numbers.count)
            for number in numbers { pixels += [number, number, number] }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }
}
