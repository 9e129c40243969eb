// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// Latents to pixels.
struct LatentDecoder<Device: Backend>: Sendable {
    private let device: Device
    private let postQuantization: Convolution<Device>?
    private let input: Convolution<Device>
    private let middle: MiddleBlock<Device>
    private let blocks: [(resnets: [ResnetBlock<Device>], upsampler: Convolution<Device>?)]
    private let output: NormedConvolution<Device>

    init(config: AutoencoderConfig, loader: WeightLoader<Device>) throws {
        device = loader.device
        postQuantization =
            config.usePostQuantConv
            ? try Convolution("post_quant_conv", kernel: 1, loader: loader) : nil
        input = try Convolution("decoder.conv_in", loader: loader)
        middle = try MiddleBlock("decoder.mid_block", config: config, loader: loader)
        let count = config.blockOutChannels.count
        blocks = try (0..<count).map { index in
            let name = "decoder.up_blocks.\(index)"
            let resnets = try (0...config.layersPerBlock).map {
                try ResnetBlock(
                    "\(name).resnets.\($0)", groups: config.normGroups, loader: loader)
            }
            let upsampler =
                index + 1 < count
                ? try Convolution("\(name).upsamplers.0.conv", loader: loader) : nil
            return (resnets, upsampler)
        }
        output = try NormedConvolution(
            norm: "decoder.conv_norm_out", convolution: "decoder.conv_out",
            groups: config.normGroups, loader: loader)
    }

    /// - Shapes: `[h * w, latentChannels]` to `[(h * scale) * (w * scale), outChannels]`.
    func callAsFunction(
        _ latents: Picture<Device>, pause: () -> Void
    ) throws(NumericError) -> Picture<Device> {
        var x = try middle(input(postQuantization.map { $0(latents) } ?? latents))
        for block in blocks {
            for resnet in block.resnets {
                x = try resnet(consume x)
                pause()
            }
            if let upsampler = block.upsampler { x = upsampler(x, upsample: true) }
        }
        return output(x)
    }
}
