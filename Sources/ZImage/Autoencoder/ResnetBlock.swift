// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// The layers of a residual block.
struct ResnetBlockSpec: Sendable {
    /// Name of the block in the checkpoint.
    let name: String
    let first: NormedConvolutionSpec
    let second: NormedConvolutionSpec
    /// Present where the number of channels changes.
    let shortcut: ConvolutionSpec?

    init(_ name: String, _ inputs: Int, _ outputs: Int, in builder: inout SpecBuilder) {
        self.name = name
        first = NormedConvolutionSpec(
            norm: "\(name).norm1", convolution: "\(name).conv1", inputs, outputs, in: &builder)
        second = NormedConvolutionSpec(
            norm: "\(name).norm2", convolution: "\(name).conv2", outputs, outputs, in: &builder)
        shortcut =
            inputs == outputs
            ? nil : builder.convolution("\(name).conv_shortcut", inputs, outputs, kernel: 1)
    }

    func operations(pixels: Int) -> Int {
        first.convolution.operations(pixels: pixels) + second.convolution.operations(pixels: pixels)
            + (shortcut?.operations(pixels: pixels) ?? 0)
    }
}

/// Two normed convolutions beside a shortcut.
struct ResnetBlock<Device: Backend>: Sendable {
    private let name: String
    private let device: Device
    private let first: NormedConvolution<Device>
    private let second: NormedConvolution<Device>
    private let shortcut: Convolution<Device>?

    init(_ spec: ResnetBlockSpec, groups: Int, loader: WeightLoader<Device>) throws {
        name = spec.name
        device = loader.device
        first = try NormedConvolution(spec.first, groups: groups, loader: loader)
        second = try NormedConvolution(spec.second, groups: groups, loader: loader)
        shortcut = try spec.shortcut.map { try Convolution($0, loader: loader) }
    }

    /// Consumes `x`, whose memory the result takes.
    func callAsFunction(
        _ x: consuming FeatureMap<Device>
    ) throws(NumericError) -> FeatureMap<Device> {
        let hidden = first(x)
        var residual = consume x
        if let shortcut { residual = shortcut(residual, reusing: true) }
        let result = second(hidden, adding: residual.values)
        try checkFinite(device, Segments(lengths: [1]), at: "autoencoder \(name)")
        device.pause()
        return result
    }
}
