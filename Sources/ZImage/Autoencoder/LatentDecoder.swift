// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// The layers of the decoder.
struct LatentDecoderSpec: Sendable {
    /// Residual blocks of one size, and the convolution after the upsampling that follows them.
    struct Level: Sendable {
        let resnets: [ResnetBlockSpec]
        let upsampler: ConvolutionSpec?
    }

    let postQuantization: ConvolutionSpec?
    let input: ConvolutionSpec
    let middle: MiddleBlockSpec
    let levels: [Level]
    let output: NormedConvolutionSpec

    init(_ config: AutoencoderConfig, in builder: inout SpecBuilder) {
        let channels = config.blockOutChannels
        let latent = config.latentChannels
        var width = channels[channels.count - 1]
        postQuantization =
            config.usePostQuantConv
            ? builder.convolution("post_quant_conv", latent, latent, kernel: 1) : nil
        input = builder.convolution("decoder.conv_in", latent, width)
        middle = MiddleBlockSpec("decoder.mid_block", config: config, in: &builder)
        levels = channels.reversed().enumerated().map { index, output in
            let name = "decoder.up_blocks.\(index)"
            let resnets = (0...config.layersPerBlock).map { layer in
                defer { width = output }
                return ResnetBlockSpec("\(name).resnets.\(layer)", width, output, in: &builder)
            }
            let upsampler =
                index + 1 < channels.count
                ? builder.convolution("\(name).upsamplers.0.conv", width, width) : nil
            return Level(resnets: resnets, upsampler: upsampler)
        }
        output = NormedConvolutionSpec(
            norm: "decoder.conv_norm_out", convolution: "decoder.conv_out", channels[0],
            config.outChannels, in: &builder)
    }

    /// Operations of decoding latents with this number of pixels.
    func operations(latentPixels: Int) -> Int {
        var pixels = latentPixels
        var total = postQuantization?.operations(pixels: pixels) ?? 0
        total += input.operations(pixels: pixels) + middle.operations(pixels: pixels)
        for level in levels {
            total += level.resnets.reduce(0) { $0 + $1.operations(pixels: pixels) }
            guard let upsampler = level.upsampler else { continue }
            pixels *= 4
            total += upsampler.operations(pixels: pixels)
        }
        return total + output.convolution.operations(pixels: pixels)
    }
}

/// Decodes latents to pixels.
struct LatentDecoder<Device: Backend>: Sendable {
    private let postQuantization: Convolution<Device>?
    private let input: Convolution<Device>
    private let middle: MiddleBlock<Device>
    private let levels: [(resnets: [ResnetBlock<Device>], upsampler: Convolution<Device>?)]
    private let output: NormedConvolution<Device>

    init(_ spec: LatentDecoderSpec, groups: Int, loader: WeightLoader<Device>) throws {
        postQuantization = try spec.postQuantization.map { try Convolution($0, loader: loader) }
        input = try Convolution(spec.input, loader: loader)
        middle = try MiddleBlock(spec.middle, groups: groups, loader: loader)
        levels = try spec.levels.map { level in
            (
                try level.resnets.map { try ResnetBlock($0, groups: groups, loader: loader) },
                try level.upsampler.map { try Convolution($0, loader: loader) }
            )
        }
        output = try NormedConvolution(spec.output, groups: groups, loader: loader)
    }

    /// - Shapes: `[h * w, latentChannels]` to `[(h * scale) * (w * scale), outChannels]`.
    func callAsFunction(
        _ latents: FeatureMap<Device>, pause: () -> Void
    ) throws(NumericError) -> FeatureMap<Device> {
        var x = try middle(input(postQuantization.map { $0(latents) } ?? latents))
        for level in levels {
            for resnet in level.resnets {
                x = try resnet(consume x)
                pause()
            }
            if let upsampler = level.upsampler { x = upsampler(x, upsample: true) }
        }
        return output(x)
    }
}
