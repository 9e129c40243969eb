// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// A picture on the device: one pixel a row, channels as columns.
struct Picture<Device: Backend> {
    var values: Device.Values
    var height: Int
    var width: Int
}

/// Group norm and SiLU, then a 3 x 3 convolution.
struct NormedConvolution<Device: Backend>: Sendable {
    private let norm: PictureNorm<Device>
    private let convolution: Convolution<Device>

    init(norm: String, convolution: String, groups: Int, loader: WeightLoader<Device>) throws {
        self.norm = try loader.norm(norm, groups: groups, silu: true)
        self.convolution = try Convolution(convolution, loader: loader)
    }

    /// The result takes the memory of the residual.
    func callAsFunction(
        _ x: Picture<Device>, adding residual: Device.Values? = nil
    ) -> Picture<Device> {
        convolution(x, norm: norm, adding: residual, reusing: residual != nil)
    }
}

extension WeightLoader {
    /// Group norm with affine parameters; epsilon is 1e-6 throughout the autoencoder.
    func norm(_ name: String, groups: Int, silu: Bool) throws -> PictureNorm<Device> {
        PictureNorm(
            groups: groups, weight: try vector(name + ".weight"), bias: try vector(name + ".bias"),
            epsilon: 1e-6, silu: silu)
    }
}

/// A convolution with bias; keeps the picture's size unless told otherwise.
struct Convolution<Device: Backend>: Sendable {
    private let device: Device
    private let weights: Device.Weights
    private let kernel: Int
    private let stride: Int

    init(_ name: String, kernel: Int = 3, stride: Int = 1, loader: WeightLoader<Device>) throws {
        device = loader.device
        self.kernel = kernel
        self.stride = stride
        weights = try loader.weights(
            [name + ".weight"], layout: kernel == 3 && stride == 1 ? .dense : .stacked,
            bias: [name + ".bias"], precision: loader.device.sensitivePrecision)
    }

    /// With `reusing`, the result may take the memory of `residual`, or of `x` where there is none.
    ///
    /// With a stride of 2 padded below and to the right only: output (y, x) reads from (2y, 2x) on.
    func callAsFunction(
        _ x: Picture<Device>, norm: PictureNorm<Device>? = nil, upsample: Bool = false,
        adding residual: Device.Values? = nil, reusing: Bool = false
    ) -> Picture<Device> {
        let geometry = ConvolutionGeometry(
            height: x.height, width: x.width, kernel: kernel, stride: stride,
            padding: stride == 1 ? nil : 0, upsample: upsample)
        return Picture(
            values: device.convolve(
                x.values, norm: norm, weights, geometry: geometry, adding: residual,
                reusing: reusing),
            height: geometry.outputHeight, width: geometry.outputWidth)
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

    /// Gives up `x`, whose memory the result takes.
    func callAsFunction(_ x: consuming Picture<Device>) throws(NumericError) -> Picture<Device> {
        let hidden = first(x)
        var residual = consume x
        if let shortcut { residual = shortcut(residual, reusing: true) }
        let result = second(hidden, adding: residual.values)
        try checkFinite(device, Segments(lengths: [1]), at: "autoencoder \(name)")
        return result
    }
}

/// Attention of all pixels to all pixels, with one head of the full width.
struct PixelAttention<Device: Backend>: Sendable {
    private let device: Device
    private let norm: PictureNorm<Device>
    private let qkv: Device.Weights
    private let output: Device.Weights
    private let channels: Int

    init(_ name: String, channels: Int, groups: Int, loader: WeightLoader<Device>) throws {
        device = loader.device
        self.channels = channels
        norm = try loader.norm(name + ".group_norm", groups: groups, silu: false)
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
        let normed = device.groupNorm(x.values, norm, precision: device.sensitivePrecision)
        let mixed = device.product(normed, qkv, adding: nil)
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
        var y = try first(x)
        if let attention { y = attention(y) }
        return try second(consume y)
    }
}
