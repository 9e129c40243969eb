// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
package import Tensors

/// The layers of the preview decoder, by their places in the file.
private struct TinyDecoderSpec {
    struct Block {
        let first: ConvolutionSpec
        let second: ConvolutionSpec
        let third: ConvolutionSpec

        init(_ name: String, _ channels: Int, in builder: inout SpecBuilder) {
            first = builder.convolution("\(name).conv.0", channels, channels)
            second = builder.convolution("\(name).conv.2", channels, channels)
            third = builder.convolution("\(name).conv.4", channels, channels)
        }
    }

    /// Blocks of one size, and the convolution after the upsampling that follows them.
    struct Level {
        let blocks: [Block]
        let next: ConvolutionSpec?

        init(_ places: [Int], next: Int?, _ channels: Int, in builder: inout SpecBuilder) {
            blocks = places.map { Block("decoder.layers.\($0)", channels, in: &builder) }
            self.next = next.map {
                builder.convolution("decoder.layers.\($0)", channels, channels, bias: false)
            }
        }
    }

    let input: ConvolutionSpec
    let levels: [Level]
    let output: ConvolutionSpec
    let tensors: [TensorSpec]

    init(latentChannels: Int) {
        let channels = 64
        var builder = SpecBuilder()
        input = builder.convolution("decoder.layers.0", latentChannels, channels)
        levels = [
            Level([2, 3, 4], next: 6, channels, in: &builder),
            Level([7, 8, 9], next: 11, channels, in: &builder),
            Level([12, 13, 14], next: 16, channels, in: &builder),
            Level([17], next: nil, channels, in: &builder),
        ]
        output = builder.convolution("decoder.layers.18", channels, 3)
        tensors = builder.tensors
    }
}

/// A small decoder from latents to colours, good enough for previews: TAEF1.
///
/// It takes at most a tenth of the time of the autoencoder's decoder.
///
/// - Source: taesd, `taesd.py`; diffusers 0.42.1, `AutoencoderTiny`; checked by
///   `TinyDecoderTests`.
package final class TinyDecoder<Device: Backend>: Sendable {
    private struct Block: Sendable {
        let first: Device.Weights
        let second: Device.Weights
        let third: Device.Weights
    }

    private let device: Device
    private let input: Device.Weights
    private let levels: [(blocks: [Block], next: Device.Weights?)]
    private let output: Device.Weights

    /// Checks the tensors and loads them.
    ///
    /// - Throws: `CheckpointError`.
    package init(store: TensorStore, latentChannels: Int, device: Device) throws {
        let spec = TinyDecoderSpec(latentChannels: latentChannels)
        try store.validate(spec.tensors) { $0.hasPrefix("encoder.") }
        self.device = device
        let loader = WeightLoader(device: device, store: store)
        input = try loader.weights(spec.input)
        levels = try spec.levels.map { level in
            let blocks = try level.blocks.map { block in
                Block(
                    first: try loader.weights(block.first),
                    second: try loader.weights(block.second),
                    third: try loader.weights(block.third))
            }
            return (blocks, try level.next.map { try loader.weights($0) })
        }
        output = try loader.weights(spec.output)
    }

    /// Returns about the bytes of activations that decoding needs: four images of 64 channels at full size.
    package func activationBytes(of latents: Planes) -> Int {
        4 * (latents.height * 8) * (latents.width * 8) * 64 * 4
    }

    /// Decodes latents as the transformer uses them.
    ///
    /// - Shapes: `[C, h, w]` to `[3, 8 h, 8 w]`, about 0...1.
    package func decode(_ latents: Planes) -> Planes {
        // Latents beyond 3 are rare, and the decoder was not trained on them.
        let rows = latents.pixelRows
        var (height, width) = (latents.height, latents.width)
        var x = device.upload(rows, rows: height * width, columns: latents.channels)
        device.tanhLimit(x, limit: 3)
        func convolve(
            _ x: Device.Values, _ weights: Device.Weights, upsample: Bool = false,
            adding residual: Device.Values? = nil
        ) -> Device.Values {
            device.convolve(
                x, norm: nil, weights,
                geometry: ConvolutionGeometry(height: height, width: width, upsample: upsample),
                adding: residual, reusing: false)
        }
        x = convolve(x, input)
        device.relu(x)
        for level in levels {
            for block in level.blocks {
                let first = convolve(x, block.first)
                device.relu(first)
                let second = convolve(first, block.second)
                device.relu(second)
                x = convolve(second, block.third, adding: x)
                device.relu(x)
            }
            if let next = level.next {
                x = convolve(x, next, upsample: true)
                (height, width) = (2 * height, 2 * width)
            }
        }
        let pixels = device.download(convolve(x, output))
        return Planes(pixelRows: pixels, channels: 3, height: height, width: width)
    }
}
