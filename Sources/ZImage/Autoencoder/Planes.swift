// Part of Inkstone. Licence: see LICENSE.

/// Numbers of a picture with its channels as planes.
package struct Planes: Sendable, Equatable {
    /// `[channels, height, width]`, row-major.
    package var numbers: [Float]
    package var channels: Int
    package var height: Int
    package var width: Int

    /// Planes of the given numbers.
    package init(_ numbers: [Float], channels: Int, height: Int, width: Int) {
        precondition(numbers.count == channels * height * width, "planes")
        self.numbers = numbers
        self.channels = channels
        self.height = height
        self.width = width
    }

    /// The part of all planes from (`top`, `left`) on.
    func crop(top: Int, left: Int, height: Int, width: Int) -> Planes {
        var part: [Float] = []
        part.reserveCapacity(channels * height * width)
        for channel in 0..<channels {
            for row in 0..<height {
                let start = (channel * self.height + top + row) * self.width + left
                part += numbers[start..<(start + width)]
            }
        }
        return Planes(part, channels: channels, height: height, width: width)
    }

    /// One pixel a row.
    var pixelRows: [Float] {
        let area = height * width
        var rows = [Float](repeating: 0, count: numbers.count)
        for channel in 0..<channels {
            for pixel in 0..<area {
                rows[pixel * channels + channel] = numbers[channel * area + pixel]
            }
        }
        return rows
    }

    /// The inverse of `pixelRows`.
    init(pixelRows rows: [Float], channels: Int, height: Int, width: Int) {
        let area = height * width
        var numbers = [Float](repeating: 0, count: rows.count)
        for pixel in 0..<area {
            for channel in 0..<channels {
                numbers[channel * area + pixel] = rows[pixel * channels + channel]
            }
        }
        self.init(numbers, channels: channels, height: height, width: width)
    }
}
