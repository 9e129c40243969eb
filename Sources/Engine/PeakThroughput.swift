// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
import Parameters
package import Tensors
import ZImage

/// The multiply-adds that a device can do, and what they let expect.
package enum PeakThroughput {
    /// Peak throughput of multiply-adds on registers, in operations per second: the best of five loops.
    package static func measured(on device: CPUBackend, _ precision: Precision) -> Double {
        (0..<5).map { _ in device.measurePeak(precision: precision, seconds: 0.1) }.max() ?? 0
    }

    /// Seconds of one evaluation of the transformer for each pixel of an image of the model's standard size, as
    /// the peak throughput of the device lets expect.
    ///
    /// Takes about 20 ms: the products themselves are not run. `nil` for a device whose peak is not measured.
    package static func expectedSecondsPerPixel(
        of model: ModelDirectory, on device: some Backend
    ) throws -> Double? {
        guard let device = device as? CPUBackend else { return nil }
        let size = model.manifest.defaults.size
        let pixels = size.width * size.height
        let patch = 2 * model.autoencoderConfig.scale
        let operations = model.transformerConfig.stepOperations(
            imageTokens: pixels / (patch * patch), captionTokens: 64,
            feedForward: try model.feedForwardWidth())
        let peak = device.measurePeak(precision: device.precision, seconds: 0.02)
        guard peak > 0, pixels > 0 else { return nil }
        return Double(operations) / (peak * usualShareOfPeak) / Double(pixels)
    }

    /// The share of the peak throughput that complete images reach, between small and large ones.
    private static let usualShareOfPeak = 0.5
}
