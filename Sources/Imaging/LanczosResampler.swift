// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Separable antialiased resampling of 8-bit pixels in fixed point.
///
/// Each output pixel is a weighted mean of the input pixels under a Lanczos window of three
/// lobes. The window is widened by the scale when an image shrinks, which removes
/// aliasing. Weights have 22 fractional bits: with at most 8 bits a pixel and a weight sum of
/// one, plus the overshoot of negative lobes, a sum stays inside 32 bits. The horizontal pass
/// is computed first and rounded to 8 bits, then the vertical one. The reference image library uses
/// the same order and precision, so results are bit-identical where `sin` is.
///
/// - Source: Pillow `src/libImaging/Resample.c`, the 8-bit two-pass path; checked by
///   `ResampleParityTests`.
enum LanczosResampler {
    private static let fractionBits = 22
    private static let lobes = 3.0

    /// The window of input pixels and weights of every output pixel along one axis.
    private struct Windows {
        /// First input pixel of each window.
        var starts: [Int] = []
        /// Where each window's weights start in `weights`; one more entry than windows.
        var offsets: [Int] = [0]
        var weights: [Int32] = []

        init(inputSize: Int, outputSize: Int) {
            let scale = Double(inputSize) / Double(outputSize)
            let stretch = max(scale, 1)
            let support = lobes * stretch
            for output in 0..<outputSize {
                let center = (Double(output) + 0.5) * scale
                let first = max(0, Int(center - support + 0.5))
                let last = min(inputSize, Int(center + support + 0.5))
                let raw = (first..<last).map { input in
                    lanczos((Double(input) - center + 0.5) / stretch)
                }
                let sum = raw.reduce(0, +)
                starts.append(first)
                for weight in raw {
                    let scaled = weight / (sum == 0 ? 1 : sum) * Double(1 << fractionBits)
                    weights.append(Int32(scaled + (scaled < 0 ? -0.5 : 0.5)))
                }
                offsets.append(weights.count)
            }
        }

        private func lanczos(_ x: Double) -> Double {
            guard x >= -lobes, x < lobes else { return 0 }
            return sinc(x) * sinc(x / lobes)
        }

        private func sinc(_ x: Double) -> Double {
            x == 0 ? 1 : sin(x * .pi) / (x * .pi)
        }
    }

    /// Scales interleaved 8-bit pixels; a side that keeps its length is not resampled.
    ///
    /// - Shapes: `pixels` is `[height, width, channels]`, the result
    ///   `[toHeight, toWidth, channels]`.
    /// - Complexity: pixels times window length, twice.
    static func resample(
        _ pixels: [UInt8],
        width: Int,
        height: Int,
        channels: Int,
        toWidth: Int,
        toHeight: Int
    ) -> [UInt8] {
        let wide =
            toWidth == width
            ? pixels
            : resampleRows(
                pixels,
                width: width,
                height: height,
                channels: channels,
                toWidth: toWidth
            )
        return toHeight == height
            ? wide
            : resampleColumns(
                wide,
                rowBytes: toWidth * channels,
                height: height,
                toHeight: toHeight
            )
    }

    /// The horizontal pass.
    private static func resampleRows(
        _ pixels: [UInt8],
        width: Int,
        height: Int,
        channels: Int,
        toWidth: Int
    ) -> [UInt8] {
        let windows = Windows(inputSize: width, outputSize: toWidth)
        let count = toWidth * height * channels
        return Array(unsafeUninitializedCapacity: count) { output, initializedCount in
            pixels.withUnsafeBufferPointer { input in
                windows.weights.withUnsafeBufferPointer { weights in
                    for row in 0..<height {
                        for column in 0..<toWidth {
                            let range = windows.offsets[column]..<windows.offsets[column + 1]
                            let first = (row * width + windows.starts[column]) * channels
                            for channel in 0..<channels {
                                var sum: Int32 = 1 << Int32(fractionBits - 1)
                                var position = first + channel
                                for index in range {
                                    sum &+= Int32(input[position]) &* weights[index]
                                    position += channels
                                }
                                let target = (row * toWidth + column) * channels + channel
                                output[target] = clamp(sum)
                            }
                        }
                    }
                }
            }
            initializedCount = count
        }
    }

    /// The vertical pass; whole rows are accumulated so that the inner loop vectorizes.
    private static func resampleColumns(
        _ pixels: [UInt8],
        rowBytes: Int,
        height: Int,
        toHeight: Int
    ) -> [UInt8] {
        let windows = Windows(inputSize: height, outputSize: toHeight)
        let count = rowBytes * toHeight
        var sums = [Int32](repeating: 0, count: rowBytes)
        return Array(unsafeUninitializedCapacity: count) { output, initializedCount in
            pixels.withUnsafeBufferPointer { input in
                sums.withUnsafeMutableBufferPointer { sums in
                    for row in 0..<toHeight {
                        sums.update(repeating: 1 << Int32(fractionBits - 1))
                        let range = windows.offsets[row]..<windows.offsets[row + 1]
                        for (step, index) in range.enumerated() {
                            let weight = windows.weights[index]
                            let start = (windows.starts[row] + step) * rowBytes
                            for byte in 0..<rowBytes {
                                sums[byte] &+= Int32(input[start + byte]) &* weight
                            }
                        }
                        for byte in 0..<rowBytes {
                            output[row * rowBytes + byte] = clamp(sums[byte])
                        }
                    }
                }
            }
            initializedCount = count
        }
    }

    /// Rounds a fixed-point sum, which already includes one half, to a byte.
    @inline(__always)
    private static func clamp(_ sum: Int32) -> UInt8 {
        UInt8(truncatingIfNeeded: max(0, min(255, sum >> Int32(fractionBits))))
    }
}
