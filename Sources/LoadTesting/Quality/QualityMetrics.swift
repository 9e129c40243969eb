// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging

/// Metrics of the distance between images, without learned models.
package enum QualityMetrics {
    /// The multi-scale structural similarity over five scales, each half the size of the previous one.
    ///
    /// - Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality
    ///   assessment", Asilomar 2003, with its five exponents.
    static func multiScaleSSIM(_ first: RGBImage, _ second: RGBImage) -> Double {
        let exponents = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
        var x = luma(first)
        var y = luma(second)
        var (width, height) = (first.width, first.height)
        var result = 1.0
        for (scale, exponent) in exponents.enumerated() {
            let terms = similarityTerms(x, y, width: width, height: height)
            let term = scale == exponents.count - 1 ? terms.similarity : terms.contrast
            // Negative correlations have no root.
            result *= pow(max(0, term), exponent)
            x = halved(x, width: width, height: height)
            y = halved(y, width: width, height: height)
            (width, height) = (width / 2, height / 2)
        }
        return result
    }

    /// Halves a plane by 2x2 means; an odd last row or column is left out.
    static func halved(_ plane: [Double], width: Int, height: Int) -> [Double] {
        var result: [Double] = []
        result.reserveCapacity((width / 2) * (height / 2))
        for row in stride(from: 0, to: height - height % 2, by: 2) {
            for column in stride(from: 0, to: width - width % 2, by: 2) {
                let place = row * width + column
                result.append(
                    (plane[place] + plane[place + 1] + plane[place + width]
                        + plane[place + width + 1]) / 4)
            }
        }
        return result
    }

    /// The gradient magnitude similarity deviation, on luma of half the size.
    ///
    /// - Source: Xue, Zhang, Mou, Bovik, "Gradient magnitude similarity deviation", IEEE TIP 23(2),
    ///   2014: Prewitt's filter divided by 3, T = 170; only where the filter fits.
    static func gradientDeviation(_ first: RGBImage, _ second: RGBImage) -> Double {
        let (width, height) = (first.width / 2, first.height / 2)
        guard width >= 3, height >= 3 else { return 0 }
        let planes = [first, second].map {
            gradients(
                halved(luma($0), width: $0.width, height: $0.height), width: width, height: height)
        }
        let similarities = zip(planes[0], planes[1]).map {
            (2 * $0 * $1 + 170) / ($0 * $0 + $1 * $1 + 170)
        }
        let mean = SampleStatistics.mean(similarities)
        let squares = similarities.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (squares / Double(similarities.count)).squareRoot()
    }

    private static func gradients(_ plane: [Double], width: Int, height: Int) -> [Double] {
        var result: [Double] = []
        for row in 1..<(height - 1) {
            for column in 1..<(width - 1) {
                var across = 0.0
                var down = 0.0
                for offset in -1...1 {
                    across +=
                        plane[(row + offset) * width + column - 1]
                        - plane[(row + offset) * width + column + 1]
                    down +=
                        plane[(row - 1) * width + column + offset]
                        - plane[(row + 1) * width + column + offset]
                }
                result.append((across * across + down * down).squareRoot() / 3)
            }
        }
        return result
    }

    /// The mean CIEDE2000 difference of 4x4 means: sensitive to colour casts, not to noise.
    static func colorDifference(_ first: RGBImage, _ second: RGBImage) -> Double {
        let blocks = zip(blockMeans(first), blockMeans(second))
        let differences = blocks.map { ColorLab(linear: $0).difference(to: ColorLab(linear: $1)) }
        return SampleStatistics.mean(differences)
    }

    /// Linear red, green and blue of 4x4 blocks; blocks at the edges are smaller.
    private static func blockMeans(_ image: RGBImage) -> [[Double]] {
        let linear = (0...255).map { value -> Double in
            let share = Double(value) / 255
            return share <= 0.04045 ? share / 12.92 : pow((share + 0.055) / 1.055, 2.4)
        }
        var result: [[Double]] = []
        for top in stride(from: 0, to: image.height, by: 4) {
            for left in stride(from: 0, to: image.width, by: 4) {
                var sums = [0.0, 0, 0]
                var count = 0.0
                for row in top..<min(top + 4, image.height) {
                    for column in left..<min(left + 4, image.width) {
                        let place = 3 * (row * image.width + column)
                        for channel in 0..<3 {
                            sums[channel] += linear[Int(image.pixels[place + channel])]
                        }
                        count += 1
                    }
                }
                result.append(sums.map { $0 / count })
            }
        }
        return result
    }
}
