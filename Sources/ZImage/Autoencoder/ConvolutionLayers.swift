// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// A picture on the device: one pixel a row, channels as columns.
struct Picture<Device: Backend> {
    var values: Device.Values
    var height: Int
    var width: Int
}

/// Group norm, then a 3 x 3 convolution.
struct NormedConvolution<Device: Backend>: Sendable {
    private let norm: GroupNorm<Device>
    private let convolution: Convolution<Device>

    init(norm: String, convolution: String, groups: Int, loader: WeightLoader<Device>) throws {
        self.norm = try GroupNorm(norm, groups: groups, loader: loader)
        self.convolution = try Convolution(convolution, loader: loader)
    }

    func callAsFunction(
        _ x: Picture<Device>, adding residual: Device.Values? = nil
    ) -> Picture<Device> {
        convolution(
            norm(x.values, silu: true), height: x.height, width: x.width, adding: residual)
    }
}

/// Group norm with affine parameters; epsilon is 1e-6 throughout the autoencoder.
struct GroupNorm<Device: Backend>: Sendable {
    private let device: Device
    private let groups: Int
    private let weight: Device.Vector
    private let bias: Device.Vector

    init(_ name: String, groups: Int, loader: WeightLoader<Device>) throws {
        device = loader.device
        self.groups = groups
        weight = try loader.vector(name + ".weight")
        bias = try loader.vector(name + ".bias")
    }

    func callAsFunction(_ x: Device.Values, silu: Bool) -> Device.Operand {
        device.groupNorm(
            x, groups: groups, weight: weight, bias: bias, epsilon: 1e-6, silu: silu,
            precision: device.sensitivePrecision)
    }
}

/// A convolution with bias; keeps the picture's size unless told otherwise.
struct Convolution<Device: Backend>: Sendable {
    private let device: Device
    private let weights: Device.Weights
    private let kernel: Int

    init(_ name: String, kernel: Int = 3, loader: WeightLoader<Device>) throws {
        device = loader.device
        self.kernel = kernel
        weights = try loader.weights(
            [name + ".weight"], bias: [name + ".bias"], precision: loader.device.sensitivePrecision)
    }

    func callAsFunction(
        _ x: Device.Operand, height: Int, width: Int, stride: Int = 1, padding: Int? = nil,
        upsample: Bool = false, adding residual: Device.Values? = nil
    ) -> Picture<Device> {
        let geometry = ConvolutionGeometry(
            height: height, width: width, kernel: kernel, stride: stride, padding: padding,
            upsample: upsample)
        return Picture(
            values: device.convolve(x, weights, geometry: geometry, adding: residual),
            height: geometry.outputHeight, width: geometry.outputWidth)
    }

    /// Converts the picture first.
    func callAsFunction(
        _ x: Picture<Device>, stride: Int = 1, padding: Int? = nil, upsample: Bool = false
    ) -> Picture<Device> {
        self(
            device.operand(x.values, precision: device.sensitivePrecision), height: x.height,
            width: x.width, stride: stride, padding: padding, upsample: upsample)
    }
}

/// Two normed convolutions beside a shortcut.
struct ResnetBlock<Device: Backend>: Sendable {
    private let name: String
    private let device: Device
    private let first: NormedConvolution<Device>
    private let second: NormedConvolution<Device>
    private let shortcut: Convolution<Device>?

    init(_ name: String, groups: Int, loader: WeightLoader<Device>) throws {
        self.name = name
        device = loader.device
        first = try NormedConvolution(
            norm: name + ".norm1", convolution: name + ".conv1", groups: groups, loader: loader)
        second = try NormedConvolution(
            norm: name + ".norm2", convolution: name + ".conv2", groups: groups, loader: loader)
        // Present exactly where the width changes; the specs were checked against the files.
        shortcut =
            loader.store[name + ".conv_shortcut.weight"] == nil
            ? nil : try Convolution(name + ".conv_shortcut", kernel: 1, loader: loader)
    }

    func callAsFunction(_ x: Picture<Device>) throws(NumericError) -> Picture<Device> {
        let residual = shortcut.map { $0(x).values } ?? x.values
        let result = second(first(x), adding: residual)
        try checkFinite(device, Segments(lengths: [1]), at: "autoencoder \(name)")
        return result
    }
}

/// Attention of all pixels to all pixels, with one head of the full width.
struct PixelAttention<Device: Backend>: Sendable {
    private let device: Device
    private let norm: GroupNorm<Device>
    private let qkv: Device.Weights
    private let output: Device.Weights
    private let channels: Int

    init(_ name: String, channels: Int, groups: Int, loader: WeightLoader<Device>) throws {
        device = loader.device
        self.channels = channels
        norm = try GroupNorm(name + ".group_norm", groups: groups, loader: loader)
        let parts = ["to_q", "to_k", "to_v"].map { "\(name).\($0)" }
        qkv = try loader.weights(
            parts.map { $0 + ".weight" }, bias: parts.map { $0 + ".bias" },
            precision: loader.device.sensitivePrecision)
        output = try loader.weights(
            [name + ".to_out.0.weight"], bias: [name + ".to_out.0.bias"],
            precision: loader.device.sensitivePrecision)
    }

    func callAsFunction(_ x: Picture<Device>) -> Picture<Device> {
        let shape = AttentionShape(
            heads: 1, keyValueHeads: 1, headDim: channels, causal: false,
            precision: device.sensitivePrecision)
        let mixed = device.product(norm(x.values, silu: false), qkv, adding: nil)
        let attended = device.attention(
            mixed, shape, segments: Segments(lengths: [x.values.rows]))
        return Picture(
            values: device.product(attended, output, adding: x.values), height: x.height,
            width: x.width)
    }
}

/// The middle of encoder and decoder: two resnets around an attention.
struct MiddleBlock<Device: Backend>: Sendable {
    private let first: ResnetBlock<Device>
    private let attention: PixelAttention<Device>?
    private let second: ResnetBlock<Device>

    init(_ name: String, config: AutoencoderConfig, loader: WeightLoader<Device>) throws {
        let groups = config.normGroups
        first = try ResnetBlock(name + ".resnets.0", groups: groups, loader: loader)
        second = try ResnetBlock(name + ".resnets.1", groups: groups, loader: loader)
        let channels = config.blockOutChannels[config.blockOutChannels.count - 1]
        attention =
            config.midBlockAddAttention
            ? try PixelAttention(
                name + ".attentions.0", channels: channels, groups: groups, loader: loader) : nil
    }

    func callAsFunction(_ x: Picture<Device>) throws(NumericError) -> Picture<Device> {
        let y = try first(x)
        return try second(attention.map { $0(y) } ?? y)
    }
}
