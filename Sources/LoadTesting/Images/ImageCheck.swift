// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Imaging

/// Checks a received image: decodes it, compares size and format, and hashes its pixels.
package enum ImageCheck {
    /// Checks a file; returns its facts, and the first error class that applies.
    package static func check(
        _ file: [UInt8], wanted: RequestParameters
    ) -> (facts: ImageFacts?, error: ErrorClass?, detail: String?) {
        let image: RGBImage
        do {
            image = try ImageDecoder.decode(file).flattened()
        } catch {
            return (nil, .decode, error.description)
        }
        let format = ImageHeader(Array(file.prefix(ImageHeader.length)))?.format ?? "unknown"
        let facts = ImageFacts(
            format: format, width: image.width, height: image.height, fileBytes: file.count,
            pixelDigest: digest(image), differenceHash: differenceHash(image))
        if image.width != wanted.width || image.height != wanted.height {
            return (
                facts, .wrongSize,
                "requested \(wanted.size), got \(image.width)x\(image.height)"
            )
        }
        if format != wanted.format {
            return (facts, .wrongFormat, "requested \(wanted.format), got \(format)")
        }
        if isBlank(image) { return (facts, .blank, "all pixels are within 2 of their mean") }
        return (facts, nil, nil)
    }

    /// SHA-256 of the RGB bytes, hexadecimal.
    package static func digest(_ image: RGBImage) -> String {
        SHA256.hexadecimal(image.pixels)
    }

    /// Whether every value of a channel is within 2 of the channel's mean.
    package static func isBlank(_ image: RGBImage) -> Bool {
        (0..<3).allSatisfy { channel in
            var (low, high, sum) = (255, 0, 0)
            for index in stride(from: channel, to: image.pixels.count, by: 3) {
                let value = Int(image.pixels[index])
                low = min(low, value)
                high = max(high, value)
                sum += value
            }
            let mean = Double(sum) / Double(image.width * image.height)
            return mean - Double(low) <= 2 && Double(high) - mean <= 2
        }
    }

    /// The difference hash: one bit for each two neighbours in a row of a 9x8 grid of mean lumas,
    /// set when the left one is darker; 16 hexadecimal digits.
    package static func differenceHash(_ image: RGBImage) -> String {
        var cells = [Int](repeating: 0, count: 72)
        var counts = [Int](repeating: 0, count: 72)
        for y in 0..<image.height {
            let row = y * 8 / image.height
            for x in 0..<image.width {
                let cell = row * 9 + x * 9 / image.width
                let offset = 3 * (y * image.width + x)
                cells[cell] +=
                    299 * Int(image.pixels[offset]) + 587 * Int(image.pixels[offset + 1])
                    + 114 * Int(image.pixels[offset + 2])
                counts[cell] += 1
            }
        }
        let means = zip(cells, counts).map { $1 == 0 ? 0 : $0 / $1 }
        var hash: UInt64 = 0
        for row in 0..<8 {
            for column in 0..<8 {
                hash = hash << 1 | (means[row * 9 + column] < means[row * 9 + column + 1] ? 1 : 0)
            }
        }
        return hash.hexadecimal(digits: 16)
    }
}
