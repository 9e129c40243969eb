// Part of Inkstone. Licence: see LICENSE.

import Foundation
package import Imaging

/// How far an image is from a reference of the same size.
///
/// All figures are of 8-bit sRGB values; see ``QualityMetrics`` for their definitions.
package struct ImageQuality: Sendable, Equatable, Codable {
    package var identical: Bool
    /// Over all pixels and channels.
    package var meanSquare: Double
    /// Decibel; absent for identical images.
    package var psnr: Double?
    package var ssim: Double?
    /// Absent where the short side is below 176.
    package var multiScaleSSIM: Double?
    /// 0 for equal structure, growing with the difference.
    package var gradientDeviation: Double
    /// Mean colour difference CIEDE2000 of 4x4 blocks.
    package var colorDifference: Double
    /// Most that a channel of a pixel differs.
    package var largestDifference: Int

    /// Compares two images.
    ///
    /// - Throws: `ImagingError` when their sizes differ.
    package init(reference: RGBImage, test: RGBImage) throws {
        let decibel = try Imaging.psnr(reference, test)
        identical = reference == test
        psnr = decibel.isFinite ? decibel : nil
        meanSquare = decibel.isFinite ? 255 * 255 / pow(10, decibel / 10) : 0
        let short = min(reference.width, reference.height)
        ssim = short >= 11 ? try Imaging.ssim(reference, test) : nil
        multiScaleSSIM =
            short >= 176 ? QualityMetrics.multiScaleSSIM(reference, test) : nil
        gradientDeviation = QualityMetrics.gradientDeviation(reference, test)
        colorDifference = QualityMetrics.colorDifference(reference, test)
        largestDifference =
            zip(reference.pixels, test.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
    }
}

/// What a single image looks like to a detector of blank and noisy ones.
package struct ImageSanity: Sendable, Equatable, Codable {
    /// Share of values that are 0 or 255.
    package var clipped: Double
    /// Of all values.
    package var standardDeviation: Double
    /// Bits a luma value.
    package var entropy: Double

    /// Measures an image.
    package init(_ image: RGBImage) {
        let values = image.pixels.map(Double.init)
        clipped = Double(image.pixels.count { $0 == 0 || $0 == 255 }) / Double(image.pixels.count)
        standardDeviation = SampleStatistics.variance(values).squareRoot()
        var counts = [Int](repeating: 0, count: 256)
        for value in luma(image) { counts[min(255, max(0, Int(value.rounded())))] += 1 }
        let total = Double(image.width * image.height)
        entropy = counts.reduce(0) { sum, count in
            guard count > 0 else { return sum }
            let share = Double(count) / total
            return sum - share * log2(share)
        }
    }
}
