// Part of Inkstone. Licence: see LICENSE.

import Imaging
import ModelFiles
import Parameters
import Tensors

extension Pipeline {
    /// Begins the second pass of an image whose first pass is finished: enlarges it and mixes it with new noise.
    ///
    /// - Parameters:
    ///   - generation: an image whose ``Generation/secondPass`` is not `nil`.
    ///   - pause: called between the layers of the autoencoder; can work on other images.
    /// - Throws: `NumericError`, `ImagingError`, `ControlError`, `MemoryError`, or the device's failure.
    package func enlarge(
        _ generation: inout Generation<Device>, pause: () -> Void = {}
    ) throws {
        guard let pass = generation.secondPass else { return }
        let parameters = generation.parameters
        let scale = model.autoencoderConfig.scale
        let (height, width) = (pass.size.height / scale, pass.size.width / scale)
        let image: Planes
        if pass.upscaler == .lanczos {
            image = try enlargedPixels(generation.latents, pass.size, pause)
        } else {
            image = generation.latents.cropped(toAspectOf: pass.size).resized(
                height: height, width: width, pass.upscaler)
        }
        let method = parameters.method(of: pass)
        let levels = levels(
            method, steps: pass.steps ?? parameters.steps, strength: pass.strength,
            imageTokens: (height / 2) * (width / 2))
        // As the reference, from the same seed, whose generator continues with the noise of this pass.
        var generator = TorchGenerator(seed: parameters.seed)
        var latents = SeedNoise.draw(
            .init(channels: generation.channels, height: height, width: width),
            seed: parameters.seed, parameters.seeds, scale: scale, from: &generator)
        let inpainting = try generation.kept.map {
            try self.inpainting($0, of: parameters.size, in: pass.size, noise: latents)
        }
        let sigma = Float(levels.run[0])
        for index in latents.indices {
            latents[index] = sigma * latents[index] + (1 - sigma) * image.numbers[index]
        }
        let tiles = pass.tiles.map {
            TiledEvaluation(
                pass.grid, of: pass.size, overlap: $0.overlap, channels: generation.channels,
                scale: scale)
        }
        let controls = try controls(
            generation.controlSources, pass.size, tiles: tiles, &generation.trace)
        generation.beginSecondPass(
            SamplerRun(method, levels, latents: latents), generator, height: height, width: width,
            tiles, controls, inpainting)
    }

    /// What the second pass keeps of a source image: its part and its mask in the size of the result.
    private func inpainting(
        _ images: Inpainting.Images, of first: PixelSize, in size: PixelSize, noise: [Float]
    ) throws -> Inpainting {
        let source = try images.source.enlarged(to: size, from: first)
        let mask = try images.mask.enlarged(to: size, from: first)
        return Inpainting(
            mask: try Inpainting.mask(
                mask, width: size.width, height: size.height,
                scale: model.autoencoderConfig.scale),
            source: try encodedMean(of: Planes(source)).numbers, noise: noise)
    }

    /// The latents of an image whose pixels are enlarged.
    private func enlargedPixels(
        _ latents: Planes, _ size: PixelSize, _ pause: () -> Void
    ) throws -> Planes {
        let image = try RGBImage(try decoded(latents, pause: pause))
        let (part, top, left) = Planes.part(height: image.height, width: image.width, size)
        let enlarged = try image.cropped(
            x: left, y: top, width: part.width, height: part.height
        ).resized(width: size.width, height: size.height)
        return try encodedMean(of: Planes(enlarged))
    }
}

extension RGBImage {
    /// Stretches the image to the first pass's size and enlarges what the second pass shows of it, at once.
    fileprivate func enlarged(
        to size: PixelSize, from first: PixelSize
    ) throws(ImagingError) -> RGBImage {
        let (part, top, left) = Planes.part(height: first.height, width: first.width, size)
        func scaled(_ length: Int, _ to: Int, _ from: Int) -> Int {
            Int((Double(length) * Double(to) / Double(from)).rounded())
        }
        let width = max(size.width, scaled(first.width, size.width, part.width))
        let height = max(size.height, scaled(first.height, size.height, part.height))
        let whole = try resized(width: width, height: height)
        return try whole.cropped(
            x: min(scaled(left, size.width, part.width), width - size.width),
            y: min(scaled(top, size.height, part.height), height - size.height),
            width: size.width, height: size.height)
    }
}
