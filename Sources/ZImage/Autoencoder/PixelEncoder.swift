// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// Pixels to the mean and logarithmic variance of latents.
struct PixelEncoder<Device: Backend>: Sendable {
    private let device: Device
    private let input: Convolution<Device>
    private let blocks: [(resnets: [ResnetBlock<Device>], downsampler: Convolution<Device>?)]
    private let middle: MiddleBlock<Device>
    private let output: NormedConvolution<Device>
    private let quantization: Convolution<Device>?

    init(config: AutoencoderConfig, loader: WeightLoader<Device>) throws {
        device = loader.device
        input = try Convolution("encoder.conv_in", loader: loader)
        let count = config.blockOutChannels.count
        blocks = try (0..<count).map { index in
            let name = "encoder.down_blocks.\(index)"
            let resnets = try (0..<config.layersPerBlock).map {
                try ResnetBlock(
                    "\(name).resnets.\($0)", groups: config.normGroups, loader: loader)
            }
            let downsampler =
                index + 1 < count
                ? try Convolution("\(name).downsamplers.0.conv", stride: 2, loader: loader) : nil
            return (resnets, downsampler)
        }
        middle = try MiddleBlock("encoder.mid_block", config: config, loader: loader)
        output = try NormedConvolution(
            norm: "encoder.conv_norm_out", convolution: "encoder.conv_out",
            groups: config.normGroups, loader: loader)
        quantization =
            config.useQuantConv ? try Convolution("quant_conv", kernel: 1, loader: loader) : nil
    }

    /// - Shapes: `[H * W, inChannels]` to `[h * w, 2 * latentChannels]`, mean before variance.
    func callAsFunction(_ pixels: Picture<Device>) throws(NumericError) -> Picture<Device> {
        var x = input(pixels)
        for block in blocks {
            for resnet in block.resnets { x = try resnet(consume x) }
            if let downsampler = block.downsampler { x = downsampler(x) }
        }
        let moments = output(try middle(x))
        return quantization.map { $0(moments) } ?? moments
    }
}
