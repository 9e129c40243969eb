// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
package import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The autoencoder between pixels and latents.
///
/// - Source: diffusers 0.42.1, `autoencoder_kl.py` and `vae.py`; checked by `ParityTests`.
package final class Autoencoder<Device: Backend>: Sendable {
    package let config: AutoencoderConfig
    private let device: Device
    private let decoder: LatentDecoder<Device>
    /// Used for image-to-image.
    private let encoder: PixelEncoder<Device>

    private let tiling: Tiling

    /// Loads both halves.
    package convenience init(
        config: AutoencoderConfig, store: TensorStore, device: Device, tiling: Tiling? = nil
    ) throws {
        try self.init(
            config: config, loader: WeightLoader(device: device, store: store), tiling: tiling)
    }

    /// Loads both halves.
    init(
        config: AutoencoderConfig, loader: WeightLoader<Device>, tiling: Tiling? = nil
    ) throws {
        self.config = config
        self.tiling = tiling ?? Tiling(config: config)
        device = loader.device
        let spec = AutoencoderSpec(config)
        decoder = try LatentDecoder(spec.decoder, groups: config.normGroups, loader: loader)
        encoder = try PixelEncoder(spec.encoder, groups: config.normGroups, loader: loader)
    }

    /// Decodes latents as the transformer uses them.
    ///
    /// Above the size limit of `Tiling` the image is decoded in overlapping tiles.
    ///
    /// - Parameters:
    ///   - latents: `[latentChannels, h, w]`.
    ///   - pause: called between layers; can work on other images.
    /// - Returns: `[3, h * scale, w * scale]`, about -1...1.
    /// - Throws: `NumericError` that names the layer.
    package func decode(
        _ latents: Planes, pause: () -> Void = {}
    ) throws(NumericError) -> Planes {
        guard tiling.applies(to: latents.height, latents.width) else {
            return try decodeWhole(latents, pause)
        }
        return try tiling.decode(latents) { (tile) throws(NumericError) in
            try decodeWhole(tile, pause)
        }
    }

    private func decodeWhole(
        _ latents: Planes, _ pause: () -> Void
    ) throws(NumericError) -> Planes {
        let (factor, shift) = (Float(config.scalingFactor), Float(config.shiftFactor))
        let rows = latents.pixelRows.map { $0 / factor + shift }
        let output = try decoder(
            FeatureMap(
                values: device.upload(
                    rows, rows: latents.height * latents.width, columns: latents.channels),
                height: latents.height, width: latents.width), pause: pause)
        let pixels = device.download(output.values)
        try checkFinite(device, Segments(lengths: [1]), at: "autoencoder decoder output")
        guard pixels.allSatisfy(\.isFinite) else {
            throw NumericError(layer: "autoencoder decoder output", step: nil, sequence: 0)
        }
        return Planes(
            pixelRows: pixels, channels: config.outChannels, height: output.height,
            width: output.width)
    }

    /// Encodes an image to the mean and logarithmic variance of its latents, before scaling and
    /// clamping.
    ///
    /// - Shapes: `[3, H, W]` in -1...1 to `[2 * latentChannels, H / scale, W / scale]`.
    package func moments(of pixels: Planes) throws(NumericError) -> Planes {
        guard tiling.applies(to: pixels.height / config.scale, pixels.width / config.scale) else {
            return try momentsWhole(of: pixels)
        }
        return try tiling.encode(pixels) { (tile) throws(NumericError) in
            try momentsWhole(of: tile)
        }
    }

    private func momentsWhole(of pixels: Planes) throws(NumericError) -> Planes {
        let output = try encoder(
            FeatureMap(
                values: device.upload(
                    pixels.pixelRows, rows: pixels.height * pixels.width,
                    columns: pixels.channels), height: pixels.height, width: pixels.width))
        let moments = device.download(output.values)
        try checkFinite(device, Segments(lengths: [1]), at: "autoencoder encoder output")
        guard moments.allSatisfy(\.isFinite) else {
            throw NumericError(layer: "autoencoder encoder output", step: nil, sequence: 0)
        }
        return Planes(
            pixelRows: moments, channels: 2 * config.latentChannels, height: output.height,
            width: output.width)
    }

    /// Returns the mean of latents, scaled as the transformer uses them.
    package func mean(of moments: Planes) -> Planes {
        let (factor, shift) = (Float(config.scalingFactor), Float(config.shiftFactor))
        let means = moments.numbers.prefix(moments.numbers.count / 2)
        return Planes(
            means.map { ($0 - shift) * factor }, channels: config.latentChannels,
            height: moments.height, width: moments.width)
    }

    /// Samples latents from moments, scaled as the transformer uses them.
    package func sample(moments: Planes, noise: [Float]) -> Planes {
        let count = moments.numbers.count / 2
        let (factor, shift) = (Float(config.scalingFactor), Float(config.shiftFactor))
        let numbers = (0..<count).map { index -> Float in
            let mean = moments.numbers[index]
            let logVariance = min(max(moments.numbers[count + index], -30), 20)
            let sample = mean + expf(logVariance / 2) * noise[index]
            return (sample - shift) * factor
        }
        return Planes(
            numbers, channels: config.latentChannels, height: moments.height,
            width: moments.width)
    }
}
