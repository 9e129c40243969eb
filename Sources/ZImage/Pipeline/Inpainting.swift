// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Tensors

/// What holds the part of a picture that is not drawn anew in its place.
///
/// After every step that part is set to the source's latents, noised to the level that the step
/// leads to; after the last one, to the latents themselves.
///
/// - Source: diffusers 0.42.1, `ZImageInpaintPipeline.__call__`; checked by
///   `Tests/parity/inpaint_parity.py`.
struct Inpainting: Sendable {
    /// 1 where the picture is drawn anew, 0 where it is kept; one number a latent pixel.
    let mask: [Float]
    /// Latents of the source, `[C, h, w]`.
    let source: [Float]
    /// The noise that the run began with, `[C, h, w]`.
    let noise: [Float]

    /// Puts the kept part in its place, at noise level `sigma`.
    func hold(_ latents: inout Planes, sigma: Float) {
        let area = mask.count
        for index in latents.numbers.indices {
            let share = mask[index % area]
            let known = sigma * noise[index] + (1 - sigma) * source[index]
            latents.numbers[index] = (1 - share) * known + share * latents.numbers[index]
        }
    }

    /// A picture's bright half, one number for each `scale` x `scale` pixels.
    ///
    /// - Parameters:
    ///   - image: the mask, of any size; white is drawn anew.
    ///   - width: columns of the picture that is made.
    ///   - height: rows of the picture that is made.
    ///   - scale: pixels along one side of a latent pixel; the first of them counts.
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
                // Pillow's grey.
                let gray = (19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16
                mask.append(gray >= 128 ? 1 : 0)
            }
        }
        return mask
    }
}
