// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// The layers of the encoder.
struct PixelEncoderSpec: Sendable {
    /// Residual blocks of one size, and the convolution that halves it after them.
    struct Level: Sendable {
        let resnets: [ResnetBlockSpec]
        let downsampler: ConvolutionSpec?
    }

    let input: ConvolutionSpec
    let levels: [Level]
    let middle: MiddleBlockSpec
    let output: NormedConvolutionSpec
    let quantization: ConvolutionSpec?

    init(_ config: AutoencoderConfig, in builder: inout SpecBuilder) {
        let channels = config.blockOutChannels
        let moments = 2 * config.latentChannels
        var width = channels[0]
        input = builder.convolution("encoder.conv_in", config.inChannels, width)
        levels = channels.enumerated().map { index, output in
            let name = "encoder.down_blocks.\(index)"
            let resnets = (0..<config.layersPerBlock).map { layer in
                defer { width = output }
                return ResnetBlockSpec("\(name).resnets.\(layer)", width, output, in: &builder)
            }
            let downsampler =
                index + 1 < channels.count
                ? builder.convolution("\(name).downsamplers.0.conv", width, width, stride: 2) : nil
            return Level(resnets: resnets, downsampler: downsampler)
        }
        middle = MiddleBlockSpec("encoder.mid_block", config: config, in: &builder)
        output = NormedConvolutionSpec(
            norm: "encoder.conv_norm_out", convolution: "encoder.conv_out",
            channels[channels.count - 1], moments, in: &builder)
        quantization =
            config.useQuantConv
            ? builder.convolution("quant_conv", moments, moments, kernel: 1) : nil
    }
}

/// Encodes pixels to the mean and logarithmic variance of latents.
struct PixelEncoder<Device: Backend>: Sendable {
    private let input: Convolution<Device>
    private let levels: [(resnets: [ResnetBlock<Device>], downsampler: Convolution<Device>?)]
    private let middle: MiddleBlock<Device>
    private let output: NormedConvolution<Device>
    private let quantization: Convolution<Device>?

    init(_ spec: PixelEncoderSpec, groups: Int, loader: WeightLoader<Device>) throws {
        input = try Convolution(spec.input, loader: loader)
        levels = try spec.levels.map { level in
            (
                try level.resnets.map { try ResnetBlock($0, groups: groups, loader: loader) },
                try level.downsampler.map { try Convolution($0, loader: loader) }
            )
        }
        middle = try MiddleBlock(spec.middle, groups: groups, loader: loader)
        output = try NormedConvolution(spec.output, groups: groups, loader: loader)
        quantization = try spec.quantization.map { try Convolution($0, loader: loader) }
    }

    /// - Shapes: `[H * W, inChannels]` to `[h * w, 2 * latentChannels]`, mean before variance.
    func callAsFunction(_ pixels: FeatureMap<Device>) throws(NumericError) -> FeatureMap<Device> {
        var x = input(pixels)
        for level in levels {
            for resnet in level.resnets { x = try resnet(consume x) }
            if let downsampler = level.downsampler { x = downsampler(x) }
        }
        let moments = output(try middle(x))
        return quantization.map { $0(moments) } ?? moments
    }
}
