// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// A convolution with bias; keeps the image's size unless it has a stride or is preceded by upsampling.
struct Convolution<Device: Backend>: Sendable {
    private let device: Device
    private let weights: Device.Weights
    private let kernel: Int
    private let stride: Int

    init(_ spec: ConvolutionSpec, loader: WeightLoader<Device>) throws {
        device = loader.device
        kernel = spec.kernel
        stride = spec.stride
        weights = try loader.weights(spec)
    }

    /// With `reusing`, the result may take the memory of `residual`, or of `x` where there is none.
    ///
    /// With a stride of 2 padded below and to the right only: output (y, x) reads from (2y, 2x) on.
    func callAsFunction(
        _ x: FeatureMap<Device>, norm: GroupNorm<Device>? = nil, upsample: Bool = false,
        adding residual: Device.Values? = nil, reusing: Bool = false
    ) -> FeatureMap<Device> {
        let geometry = ConvolutionGeometry(
            height: x.height, width: x.width, kernel: kernel, stride: stride,
            padding: stride == 1 ? nil : 0, upsample: upsample)
        return FeatureMap(
            values: device.convolve(
                x.values, norm: norm, weights, geometry: geometry, adding: residual,
                reusing: reusing),
            height: geometry.outputHeight, width: geometry.outputWidth)
    }
}

/// The layers of a normed convolution.
struct NormedConvolutionSpec: Sendable {
    let norm: GroupNormSpec
    let convolution: ConvolutionSpec

    init(
        norm: String, convolution: String, _ inputs: Int, _ outputs: Int,
        in builder: inout SpecBuilder
    ) {
        self.norm = builder.groupNorm(norm, inputs)
        self.convolution = builder.convolution(convolution, inputs, outputs)
    }
}

/// Group norm and SiLU, then a 3 x 3 convolution.
struct NormedConvolution<Device: Backend>: Sendable {
    private let norm: GroupNorm<Device>
    private let convolution: Convolution<Device>

    init(_ spec: NormedConvolutionSpec, groups: Int, loader: WeightLoader<Device>) throws {
        norm = try loader.groupNorm(spec.norm, groups: groups, silu: true)
        convolution = try Convolution(spec.convolution, loader: loader)
    }

    /// The result takes the memory of the residual.
    func callAsFunction(
        _ x: FeatureMap<Device>, adding residual: Device.Values? = nil
    ) -> FeatureMap<Device> {
        convolution(x, norm: norm, adding: residual, reusing: residual != nil)
    }
}
