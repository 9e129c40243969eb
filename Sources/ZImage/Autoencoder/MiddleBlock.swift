// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// The layers of an attention over pixels.
struct PixelAttentionSpec: Sendable {
    let norm: GroupNormSpec
    let qkv: LinearSpec
    let output: LinearSpec

    init(_ name: String, _ channels: Int, in builder: inout SpecBuilder) {
        norm = builder.groupNorm("\(name).group_norm", channels)
        qkv = builder.linear(
            ["\(name).to_q": channels, "\(name).to_k": channels, "\(name).to_v": channels],
            inputs: channels, bias: true, accuracy: .sensitive, stage: .step)
        output = builder.linear(
            "\(name).to_out.0", inputs: channels, outputs: channels, bias: true,
            accuracy: .sensitive, stage: .step)
    }

    func operations(pixels: Int) -> Int {
        pixels * (qkv.operations + output.operations) + 4 * pixels * pixels * output.inputs
    }
}

/// Attention of all pixels to all pixels, with one head of the full width.
struct PixelAttention<Device: Backend>: Sendable {
    private let device: Device
    private let norm: GroupNorm<Device>
    private let qkv: Linear<Device>
    private let output: Linear<Device>
    private let channels: Int

    init(_ spec: PixelAttentionSpec, groups: Int, loader: WeightLoader<Device>) throws {
        device = loader.device
        channels = spec.output.inputs
        norm = try loader.groupNorm(spec.norm, groups: groups, silu: false)
        qkv = try loader.linear(spec.qkv)
        output = try loader.linear(spec.output)
    }

    func callAsFunction(_ x: FeatureMap<Device>) -> FeatureMap<Device> {
        let shape = AttentionShape(
            heads: 1, keyValueHeads: 1, headDim: channels, causal: false,
            precision: device.sensitivePrecision)
        let pixels = Segments(lengths: [x.values.rows])
        let adapters = AdapterBatch<Device>()
        let normed = device.groupNorm(x.values, norm, precision: device.sensitivePrecision)
        let attended = device.attention(
            qkv(normed, pixels, adapters), shape, segments: pixels)
        return FeatureMap(
            values: output(attended, pixels, adapters, adding: x.values), height: x.height,
            width: x.width)
    }
}

/// The layers in the middle of encoder and decoder.
struct MiddleBlockSpec: Sendable {
    let first: ResnetBlockSpec
    let second: ResnetBlockSpec
    let attention: PixelAttentionSpec?

    init(_ name: String, config: AutoencoderConfig, in builder: inout SpecBuilder) {
        let channels = config.blockOutChannels[config.blockOutChannels.count - 1]
        first = ResnetBlockSpec("\(name).resnets.0", channels, channels, in: &builder)
        second = ResnetBlockSpec("\(name).resnets.1", channels, channels, in: &builder)
        attention =
            config.midBlockAddAttention
            ? PixelAttentionSpec("\(name).attentions.0", channels, in: &builder) : nil
    }

    func operations(pixels: Int) -> Int {
        first.operations(pixels: pixels) + second.operations(pixels: pixels)
            + (attention?.operations(pixels: pixels) ?? 0)
    }
}

/// The middle of encoder and decoder: two residual blocks around an attention.
struct MiddleBlock<Device: Backend>: Sendable {
    private let first: ResnetBlock<Device>
    private let attention: PixelAttention<Device>?
    private let second: ResnetBlock<Device>

    init(_ spec: MiddleBlockSpec, groups: Int, loader: WeightLoader<Device>) throws {
        first = try ResnetBlock(spec.first, groups: groups, loader: loader)
        second = try ResnetBlock(spec.second, groups: groups, loader: loader)
        attention = try spec.attention.map {
            try PixelAttention($0, groups: groups, loader: loader)
        }
    }

    func callAsFunction(_ x: FeatureMap<Device>) throws(NumericError) -> FeatureMap<Device> {
        var y = try first(x)
        if let attention { y = attention(y) }
        return try second(consume y)
    }
}
