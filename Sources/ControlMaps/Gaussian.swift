// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A Gaussian blur of interleaved channels, as OpenCV's `GaussianBlur` computes it.
///
/// The image is continued by reflection without repeating its edge.
///
/// - Source: OpenCV 5.0.0, `modules/imgproc/src/smooth.dispatch.cpp`; checked by `ControlMapTests`.
enum Gaussian {
    /// Weights of an odd number of taps that sum to 1.
    static func kernel(taps: Int, sigma: Double) -> [Double] {
        let centre = Double(taps / 2)
        let weights = (0..<taps).map { index in
            let distance = Double(index) - centre
            return exp(-distance * distance / (2 * sigma * sigma))
        }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }

    /// Weights in units of 1/256, which sum to 256: rounding errors are carried towards the centre.
    static func fixedKernel(taps: Int, sigma: Double) -> [Int] {
        let exact = kernel(taps: taps, sigma: sigma)
        var weights = [Int](repeating: 0, count: taps)
        var error = 0.0
        var sum = 0
        for index in 0..<(taps / 2) {
            let adjusted = exact[index] * 256 + error
            let rounded = adjusted.rounded(.toNearestOrEven)
            error = adjusted - rounded
            weights[index] = Int(rounded)
            weights[taps - 1 - index] = Int(rounded)
            sum += 2 * Int(rounded)
        }
        weights[taps / 2] = 256 - sum
        return weights
    }

    /// Blurs 8-bit channels in fixed-point arithmetic; `taps` of 0 covers three sigmas.
    static func blurred(_ image: Raster<UInt8>, sigma: Double, taps: Int = 0) -> Raster<UInt8> {
        let count = taps > 0 ? taps : Int((sigma * 6).rounded() + 1) | 1
        let weights = fixedKernel(taps: count, sigma: sigma)
        let wide = image.map { Int($0) }
        let sums = wide.convolved(weights, alongRows: true).convolved(weights, alongRows: false)
        return sums.map { UInt8(min(255, ($0 + 1 << 15) >> 16)) }
    }

    /// Blurs in f32; the weights cover four sigmas.
    static func blurred(_ image: Raster<Float>, sigma: Double) -> Raster<Float> {
        let taps = Int((sigma * 8).rounded() + 1) | 1
        let weights = kernel(taps: taps, sigma: sigma).map { Float($0) }
        return image.convolved(weights, alongRows: true).convolved(weights, alongRows: false)
    }
}
