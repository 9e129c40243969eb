// Part of Inkstone. Licence: see LICENSE.

import Foundation
package import Imaging

/// The distance of an image from a reference of the same size.
///
/// All figures are computed from 8-bit sRGB values.
public struct ImageQuality: Sendable, Equatable, Codable {
    /// Whether all pixels are equal.
    public var identical: Bool
    /// Mean square error over all pixels and channels.
    public var meanSquare: Double
    /// Peak signal-to-noise ratio in decibels; absent for identical images.
    public var psnr: Double?
    /// Structural similarity; absent when the short edge is below 11.
    public var ssim: Double?
    /// Multi-scale structural similarity; absent when the short edge is below 176.
    public var multiScaleSSIM: Double?
    /// Gradient magnitude similarity deviation: 0 for equal structure.
    public var gradientDeviation: Double
    /// Mean CIEDE2000 colour difference of 4x4 blocks.
    public var colorDifference: Double
    /// Maximum difference of a channel of a pixel.
    public var largestDifference: Int

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

/// Figures of a single image that show blank and noisy images.
package struct ImageSanity: Sendable, Equatable, Codable {
    /// Share of values that are 0 or 255.
    package var clipped: Double
    /// Standard deviation of all values.
    package var standardDeviation: Double
    /// Entropy in bits a luma value.
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
