// Part of Inkstone. Licence: see LICENSE.

extension QualitySummary {
    /// The figures as text for a terminal, one a line.
    public var text: String {
        func line(_ name: String, _ estimate: Estimate, _ decimals: Int) -> String {
            var value =
                estimate.value.map { Figures.decimals($0, decimals) }
                ?? "- (\(estimate.reason ?? ""))"
            if let low = estimate.low, let high = estimate.high {
                value +=
                    " (95 %: \(Figures.decimals(low, decimals))-\(Figures.decimals(high, decimals)))"
            }
            return name + String(repeating: " ", count: max(1, 22 - name.count)) + value + "\n"
        }
        let plain = { (value: Double?) in value.map { Figures.decimals($0, 2) + " dB" } ?? "-" }
        return
            "\(n) pairs, \(identical) identical, largest difference \(largestDifference) of 255\n"
            + line("PSNR dB, mean", meanPSNR, 2) + "PSNR of the mean MSE  \(plain(psnrOfMean))\n"
            + "PSNR, p10 and least   \(plain(lowPSNR)), \(plain(leastPSNR))\n"
            + line("SSIM", ssim, 4)
            + line("MS-SSIM", multiScaleSSIM, 4) + line("GMSD", gradientDeviation, 4)
            + line("CIEDE2000", colorDifference, 3)
    }
}
