// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Peak signal-to-noise ratio (PSNR) of two images over all three channels.
///
/// - Units: decibel; infinity for equal images.
/// - Throws: `ImagingError.invalidArgument` when the sizes differ.
public func psnr(_ first: RGBImage, _ second: RGBImage) throws(ImagingError) -> Double {
    try checkSameSize(first, second)
    var squares = 0
    for (left, right) in zip(first.pixels, second.pixels) {
        let difference = Int(left) - Int(right)
        squares += difference * difference
    }
    guard squares > 0 else { return .infinity }
    let meanSquare = Double(squares) / Double(first.pixels.count)
    return 10 * log10(255 * 255 / meanSquare)
}

/// Mean structural similarity (SSIM) of two images, from -1 to 1, where 1 means equal.
///
/// Computed on luma (0.299 R + 0.587 G + 0.114 B) with a Gaussian window of 11x11 and a
/// deviation of 1.5, K1 = 0.01, K2 = 0.03, at every position where the window is inside.
///
/// - Throws: `ImagingError.invalidArgument` when the sizes differ or a side is below 11.
/// - Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility
///   to structural similarity", IEEE TIP 13(4), 2004, section III-B; checked by
///   `SimilarityTests`.
public func ssim(_ first: RGBImage, _ second: RGBImage) throws(ImagingError) -> Double {
    try checkSameSize(first, second)
    let window = GaussianWindow()
    guard first.width >= window.size, first.height >= window.size else {
        throw ImagingError(
            .invalidArgument,
            "SSIM needs sides of at least \(window.size) pixels, found "
                + "\(first.width)x\(first.height).",
            remedy: "Compare larger images."
        )
    }
    return similarityTerms(
        luma(first), luma(second), width: first.width, height: first.height
    ).similarity
}

/// Mean structural similarity of two planes, and the mean of its contrast and structure alone.
///
/// - Shapes: `x` and `y` are `[height, width]`, both sides at least 11.
package func similarityTerms(
    _ x: [Double], _ y: [Double], width: Int, height: Int
) -> (similarity: Double, contrast: Double) {
    let window = GaussianWindow()
    let blur = { (plane: [Double]) in window.blur(plane, width: width, height: height) }
    let meanX = blur(x)
    let meanY = blur(y)
    let squareX = blur(zip(x, x).map(*))
    let squareY = blur(zip(y, y).map(*))
    let product = blur(zip(x, y).map(*))

    let c1 = (0.01 * 255) * (0.01 * 255)
    let c2 = (0.03 * 255) * (0.03 * 255)
    var similarity = 0.0
    var contrast = 0.0
    for index in meanX.indices {
        let means = meanX[index] * meanY[index]
        let meanSquares = meanX[index] * meanX[index] + meanY[index] * meanY[index]
        let covariance = product[index] - means
        let variances = squareX[index] + squareY[index] - meanSquares
        similarity +=
            (2 * means + c1) * (2 * covariance + c2) / ((meanSquares + c1) * (variances + c2))
        contrast += (2 * covariance + c2) / (variances + c2)
    }
    let count = Double(meanX.count)
    return (similarity / count, contrast / count)
}

/// A normalised Gaussian of 11 taps, applied along both axes.
private struct GaussianWindow {
    let weights: [Double]
    var size: Int { weights.count }

    init() {
        let raw = (-5...5).map { exp(-Double($0 * $0) / (2 * 1.5 * 1.5)) }
        let sum = raw.reduce(0, +)
        weights = raw.map { $0 / sum }
    }

    /// Filters where the window fits.
    ///
    /// - Shapes: `[height, width]` to `[height - 10, width - 10]`.
    func blur(_ plane: [Double], width: Int, height: Int) -> [Double] {
        let outWidth = width - size + 1
        let outHeight = height - size + 1
        var rows = [Double](repeating: 0, count: outWidth * height)
        for row in 0..<height {
            for tap in 0..<size {
                for column in 0..<outWidth {
                    rows[row * outWidth + column] +=
                        plane[row * width + column + tap] * weights[tap]
                }
            }
        }
        var result = [Double](repeating: 0, count: outWidth * outHeight)
        for row in 0..<outHeight {
            for tap in 0..<size {
                for column in 0..<outWidth {
                    result[row * outWidth + column] +=
                        rows[(row + tap) * outWidth + column] * weights[tap]
                }
            }
        }
        return result
    }
}

/// The luma of every pixel by the weights of ITU-R BT.601, not rounded.
package func luma(_ image: RGBImage) -> [Double] {
    (0..<(image.width * image.height)).map { pixel -> Double in
        let red = Double(image.pixels[3 * pixel])
        let green = Double(image.pixels[3 * pixel + 1])
        let blue = Double(image.pixels[3 * pixel + 2])
        return 0.299 * red + 0.587 * green + 0.114 * blue
    }
}

/// Rejects images of different sizes.
private func checkSameSize(_ first: RGBImage, _ second: RGBImage) throws(ImagingError) {
    guard first.width == second.width, first.height == second.height else {
        throw ImagingError(
            .invalidArgument,
            "Cannot compare images of \(first.width)x\(first.height) and "
                + "\(second.width)x\(second.height) pixels.",
            remedy: "Scale one of them first."
        )
    }
}
