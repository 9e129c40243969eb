// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Tensors

/// Keeps the unmasked part of a source image.
///
/// After every step that part is set to the source's latents with noise of the step's level; after the
/// last step, to the latents themselves.
///
/// - Source: diffusers 0.42.1, `ZImageInpaintPipeline.__call__`; checked by
///   `Tests/parity/inpaint_parity.py`.
struct Inpainting: Sendable {
    /// A source image and its mask, each of any size.
    struct Images: Sendable {
        let source: RGBImage
        /// White where the image is generated.
        let mask: RGBImage
    }

    /// 1 for latent pixels that are generated, 0 for those that are kept.
    let mask: [Float]
    /// Latents of the source, `[C, h, w]`.
    let source: [Float]
    /// The initial noise, `[C, h, w]`.
    let noise: [Float]

    /// Sets the kept part to the source at noise level `sigma`.
    func hold(_ latents: inout [Float], sigma: Float) {
        let area = mask.count
        for index in latents.indices {
            let weight = mask[index % area]
            let known = sigma * noise[index] + (1 - sigma) * source[index]
            latents[index] = (1 - weight) * known + weight * latents[index]
        }
    }

    /// Converts a mask image to one number for each latent pixel.
    ///
    /// - Parameters:
    ///   - image: the mask, of any size; white is generated.
    ///   - width: columns of the generated image.
    ///   - height: rows of the generated image.
    ///   - scale: pixels along one side of a latent pixel; the first of them is used.
    /// - Returns: 0 or 1 for each latent pixel.
    /// - Throws: `ImagingError` for a mask that cannot be resized.
    static func mask(
        _ image: RGBImage, width: Int, height: Int, scale: Int
    ) throws(ImagingError) -> [Float] {
        let fitted =
            image.width == width && image.height == height
            ? image : try image.resized(width: width, height: height)
        var mask: [Float] = []
        mask.reserveCapacity((width / scale) * (height / scale))
        for y in stride(from: 0, to: height, by: scale) {
            for x in stride(from: 0, to: width, by: scale) {
                let at = 3 * (y * width + x)
                let (red, green, blue) = (
                    Int(fitted.pixels[at]), Int(fitted.pixels[at + 1]), Int(fitted.pixels[at + 2])
                )
                // The grey level of Pillow.
                let gray = (19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16
                mask.append(gray >= 128 ? 1 : 0)
            }
        }
        return mask
    }
}
