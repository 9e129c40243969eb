// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
package import Tensors

/// A small decoder from latents to colours, good enough for previews: TAEF1.
///
/// It takes a tenth of the time of the real decoder and less.
///
/// - Source: taesd, `taesd.py`; diffusers 0.42.1, `AutoencoderTiny`; checked by
///   `TinyDecoderTests`.
package final class TinyDecoder<Device: Backend>: Sendable {
    private struct Block: Sendable {
        let first: Device.Weights
        let second: Device.Weights
        let third: Device.Weights
    }

    private static var channels: Int { 64 }
    /// Blocks at each size, by their places in the file; the last number is the convolution that
    /// follows an enlargement, which has no bias.
    private static var levels: [(blocks: [Int], next: Int?)] {
        [([2, 3, 4], 6), ([7, 8, 9], 11), ([12, 13, 14], 16), ([17], nil)]
    }

    private let device: Device
    private let input: Device.Weights
    private let levels: [(blocks: [Block], next: Device.Weights?)]
    private let output: Device.Weights

    /// Checks the tensors and loads them.
    ///
    /// - Throws: `CheckpointError`.
    package init(store: TensorStore, latentChannels: Int, device: Device) throws {
        try store.validate(Self.specs(latentChannels)) { $0.hasPrefix("encoder.") }
        self.device = device
        let loader = WeightLoader(device: device, store: store)
        func convolution(_ name: String, bias: Bool = true) throws -> Device.Weights {
            try loader.weights(
                ["decoder.layers.\(name).weight"], layout: .dense,
                bias: bias ? ["decoder.layers.\(name).bias"] : [],
                precision: device.sensitivePrecision)
        }
        input = try convolution("0")
        levels = try Self.levels.map { level in
            let blocks = try level.blocks.map { index in
                Block(
                    first: try convolution("\(index).conv.0"),
                    second: try convolution("\(index).conv.2"),
                    third: try convolution("\(index).conv.4"))
            }
            return (blocks, try level.next.map { try convolution("\($0)", bias: false) })
        }
        output = try convolution("18")
    }

    private static func specs(_ latentChannels: Int) -> [TensorSpec] {
        var specs: [TensorSpec] = []
        func convolution(_ name: String, _ input: Int, _ output: Int, bias: Bool = true) {
            specs.append(TensorSpec("decoder.layers.\(name).weight", [output, input, 3, 3]))
            if bias { specs.append(TensorSpec("decoder.layers.\(name).bias", [output])) }
        }
        convolution("0", latentChannels, channels)
        for level in levels {
            for block in level.blocks {
                for part in [0, 2, 4] { convolution("\(block).conv.\(part)", channels, channels) }
            }
            if let next = level.next { convolution("\(next)", channels, channels, bias: false) }
        }
        convolution("18", channels, 3)
        return specs
    }

    /// Colours of latents as the transformer uses them.
    ///
    /// - Shapes: `[C, h, w]` to `[3, 8 h, 8 w]`, about 0...1.
    package func decode(_ latents: Planes) -> Planes {
        // Latents beyond 3 are rare, and the decoder has never seen them.
        let rows = latents.pixelRows
        var (height, width) = (latents.height, latents.width)
        var x = device.upload(rows, rows: height * width, columns: latents.channels)
        device.squash(x, limit: 3)
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
