// Part of Inkstone. Licence: see LICENSE.

package import Parameters

extension Planes {
    /// Numbers of the source that one of the result is made of.
    private typealias Taps = [(index: Int, weight: Float)]

    /// Returns the planes in another size.
    ///
    /// - Source: torch 2.13, `nn.functional.interpolate` without `align_corners`; compared by `SeedNoiseTests`.
    package func resized(height: Int, width: Int, _ upscaler: SecondPass.Upscaler) -> Planes {
        let rows = Self.taps(from: self.height, to: height, upscaler)
        let columns = Self.taps(from: self.width, to: width, upscaler)
        var result: [Float] = []
        result.reserveCapacity(channels * height * width)
        for channel in 0..<channels {
            let start = channel * self.height * self.width
            for row in rows {
                for column in columns {
                    var sum: Float = 0
                    for (y, vertical) in row {
                        for (x, horizontal) in column {
                            sum += vertical * horizontal * numbers[start + y * self.width + x]
                        }
                    }
                    result.append(sum)
                }
            }
        }
        return Planes(result, channels: channels, height: height, width: width)
    }

    private static func taps(
        from source: Int, to count: Int, _ upscaler: SecondPass.Upscaler
    ) -> [Taps] {
        let scale = Double(source) / Double(count)
        func clamped(_ index: Int) -> Int { min(max(index, 0), source - 1) }
        return (0..<count).map { index in
            let middle = (Double(index) + 0.5) * scale
            switch upscaler {
            case .latentNearest: return [(clamped(Int(middle)), 1)]
            case .latentBicubic:
                let place = middle - 0.5
                let first = place.rounded(.down)
                let offset = place - first
                return (-1...2).map { tap in
                    (clamped(Int(first) + tap), Float(cubic(Double(tap) - offset)))
                }
            case .latent, .lanczos:
                let place = max(0, middle - 0.5)
                let first = Int(place)
                let offset = Float(place - Double(first))
                return [(clamped(first), 1 - offset), (clamped(first + 1), offset)]
            }
        }
    }

    /// Keys's cubic convolution kernel with the parameter of torch.
    private static func cubic(_ distance: Double) -> Double {
        let (x, a) = (abs(distance), -0.75)
        if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    }

    /// Returns the largest part from the middle with the aspect ratio of a size.
    func cropped(toAspectOf size: PixelSize) -> Planes {
        let (part, top, left) = Self.part(height: height, width: width, size)
        return crop(top: top, left: left, height: part.height, width: part.width)
    }

    /// The largest part from the middle of rows and columns with the aspect ratio of a size.
    static func part(
        height: Int, width: Int, _ size: PixelSize
    ) -> (part: PixelSize, top: Int, left: Int) {
        let wanted = Double(size.width) / Double(size.height)
        var part = PixelSize(width: width, height: height)
        if Double(width) / Double(height) > wanted {
            part.width = max(1, Int((Double(height) * wanted).rounded()))
        } else {
            part.height = max(1, Int((Double(width) / wanted).rounded()))
        }
        return (part, (height - part.height) / 2, (width - part.width) / 2)
    }
}
