// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The distances of images from their references, over all pairs.
public struct QualitySummary: Sendable, Equatable, Codable {
    /// Number of pairs.
    public var n: Int
    /// Number of pairs with equal pixels.
    public var identical: Int
    /// Mean PSNR of the pairs that are not identical.
    public var meanPSNR: Estimate
    /// PSNR of the mean square error over all pairs, which differs from the mean PSNR.
    public var psnrOfMean: Double?
    /// Minimum PSNR.
    public var leastPSNR: Double?
    /// 10th percentile of PSNR.
    public var lowPSNR: Double?
    /// Structural similarity.
    public var ssim: Estimate
    /// Multi-scale structural similarity.
    public var multiScaleSSIM: Estimate
    /// Gradient magnitude similarity deviation.
    public var gradientDeviation: Estimate
    /// CIEDE2000 colour difference.
    public var colorDifference: Estimate
    /// Maximum difference of a channel of a pixel.
    public var largestDifference: Int

    /// Summarizes pairs.
    public init(_ pairs: [ImageQuality], seed: UInt64 = 1) {
        n = pairs.count
        identical = pairs.count { $0.identical }
        let decibels = pairs.compactMap(\.psnr)
        meanPSNR =
            decibels.isEmpty
            ? .missing(pairs.isEmpty ? "no pairs" : "all pairs are identical", n: pairs.count)
            : Bootstrap.mean(decibels, seed: seed)
        let square = SampleStatistics.mean(pairs.map(\.meanSquare))
        psnrOfMean = square > 0 ? 10 * log10(255 * 255 / square) : nil
        let sorted = decibels.sorted()
        leastPSNR = sorted.first
        lowPSNR = Percentile.value(0.1, ofSorted: sorted)
        func estimate(_ values: [Double]) -> Estimate {
            values.isEmpty
                ? .missing("not defined for this size") : Bootstrap.mean(values, seed: seed)
        }
        ssim = estimate(pairs.compactMap(\.ssim))
        multiScaleSSIM = estimate(pairs.compactMap(\.multiScaleSSIM))
        gradientDeviation = estimate(pairs.map(\.gradientDeviation))
        colorDifference = estimate(pairs.map(\.colorDifference))
        largestDifference = pairs.map(\.largestDifference).max() ?? 0
    }
}
