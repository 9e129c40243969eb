// Part of Inkstone. Licence: see LICENSE.

/// An image or latents, channel by channel.
package struct Planes: Sendable, Equatable {
    /// `[channels, height, width]`, row-major.
    package var numbers: [Float]
    package var channels: Int
    package var height: Int
    package var width: Int

    /// Creates planes from the given numbers.
    package init(_ numbers: [Float], channels: Int, height: Int, width: Int) {
        precondition(numbers.count == channels * height * width, "planes")
        self.numbers = numbers
        self.channels = channels
        self.height = height
        self.width = width
    }

    /// Returns the part of all planes that starts at (`top`, `left`).
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

    /// The numbers with one pixel a row: `[height * width, channels]`.
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
