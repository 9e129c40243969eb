// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Many images against their references, pair by pair.
package struct QualitySummary: Sendable, Equatable, Codable {
    /// Pairs compared.
    package var n: Int
    package var identical: Int
    /// Mean of the images' own PSNR, of those that are not identical.
    package var meanPSNR: Estimate
    /// PSNR of the mean square over all pairs; another number than the mean.
    package var psnrOfMean: Double?
    package var leastPSNR: Double?
    /// 10th percentile.
    package var lowPSNR: Double?
    package var ssim: Estimate
    package var multiScaleSSIM: Estimate
    package var gradientDeviation: Estimate
    package var colorDifference: Estimate
    package var largestDifference: Int

    /// Summarises pairs.
    package init(_ pairs: [ImageQuality], seed: UInt64 = 1) {
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
