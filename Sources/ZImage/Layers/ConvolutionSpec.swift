// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// A convolution as it is declared beside the code that runs it; see `LinearSpec`.
struct ConvolutionSpec: Sendable {
    /// Name of the module in the checkpoint, without `.weight`.
    let name: String
    /// Input channels.
    let inputs: Int
    /// Output channels.
    let outputs: Int
    /// Rows and columns of the kernel: 1 or 3.
    let kernel: Int
    /// Distance between outputs: 1 or 2.
    let stride: Int
    let hasBias: Bool

    var weight: String { name + ".weight" }
    var bias: String { name + ".bias" }

    /// Names and shapes of the stored tensors.
    var tensors: [TensorSpec] {
        [TensorSpec(weight, [outputs, inputs, kernel, kernel])]
            + (hasBias ? [TensorSpec(bias, [outputs])] : [])
    }

    /// How the kernel is packed.
    var layout: MatrixSource.Layout { kernel == 3 && stride == 1 ? .winograd3x3 : .stacked }

    /// Operations for `pixels` outputs: two for each multiply-add of the definition, of which a
    /// device may need fewer.
    func operations(pixels: Int) -> Int { 2 * pixels * inputs * outputs * kernel * kernel }
}

/// The parameters of a group norm.
struct GroupNormSpec: Sendable {
    /// One factor for each channel.
    let weight: TensorSpec
    /// One summand for each channel.
    let bias: TensorSpec
}
