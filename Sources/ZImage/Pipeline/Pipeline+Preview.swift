// Part of Inkstone. Licence: see LICENSE.

package import Imaging
import ModelFiles
import Tensors

extension Pipeline {
    /// Returns a preview of the finished image as predicted in the last step.
    ///
    /// It has the full size if the model has a preview decoder, else one pixel for each latent pixel.
    package func preview(_ generation: Generation<Device>) -> RGBImage? {
        if let previewDecoder, let latents = generation.prediction {
            // A device with dedicated memory is not asked for more than it has.
            let needed = previewDecoder.activationBytes(of: latents)
            guard needed <= device.availableBytes ?? .max else { return nil }
            var planes = previewDecoder.decode(latents)
            guard device.failure == nil, planes.numbers.allSatisfy(\.isFinite) else { return nil }
            for index in planes.numbers.indices {
                planes.numbers[index] = 2 * planes.numbers[index] - 1
            }
            return try? RGBImage(planes)
        }
        guard let latents = generation.prediction, let preview = model.manifest.preview,
            preview.factors.count == latents.channels
        else { return nil }
        let area = latents.height * latents.width
        var planes = Planes(
            [Float](repeating: 0, count: 3 * area), channels: 3, height: latents.height,
            width: latents.width)
        for color in 0..<3 {
            for pixel in 0..<area {
                var sum = Float(preview.bias[color])
                for channel in 0..<latents.channels {
                    sum +=
                        latents.numbers[channel * area + pixel]
                        * Float(preview.factors[channel][color])
                }
                planes.numbers[color * area + pixel] = sum
            }
        }
        return try? RGBImage(planes)
    }
}
