// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// Declares the layers of a component and collects their tensors in the order of declaration.
///
/// A layer that is declared is thereby checked, loaded by name and, if it is linear, open to LoRA:
/// there is no second list to keep equal.
struct SpecBuilder {
    /// Names and shapes of all tensors declared.
    private(set) var tensors: [TensorSpec] = []
    /// All linear layers declared.
    private(set) var linears: [LinearSpec] = []

    /// Declares a tensor.
    mutating func tensor(_ name: String, _ shape: [Int]) -> TensorSpec {
        let spec = TensorSpec(name, shape)
        tensors.append(spec)
        return spec
    }

    /// Declares the weight of an RMS norm.
    mutating func norm(_ name: String, _ width: Int) -> TensorSpec {
        tensor(name + ".weight", [width])
    }

    /// Declares weight and bias of a group norm.
    mutating func groupNorm(_ name: String, _ channels: Int) -> GroupNormSpec {
        GroupNormSpec(
            weight: tensor(name + ".weight", [channels]), bias: tensor(name + ".bias", [channels]))
    }

    /// Declares a linear layer of one stored matrix.
    ///
    /// - Parameters:
    ///   - name: name of the module in the checkpoint.
    ///   - aliases: other names of the module in LoRA files.
    ///   - inputs: input features.
    ///   - outputs: output features.
    ///   - bias: whether a bias is stored.
    ///   - accuracy: precision of the product.
    ///   - stage: how often the layer runs.
    /// - Returns: the layer.
    mutating func linear(
        _ name: String, aliases: [String] = [], inputs: Int, outputs: Int, bias: Bool = false,
        accuracy: LinearSpec.Accuracy = .standard, stage: LinearSpec.Stage
    ) -> LinearSpec {
        add(
            LinearSpec(
                parts: [part(name, outputs, aliases)], inputs: inputs, hasBias: bias,
                layout: .stacked, accuracy: accuracy, stage: stage, fusedAlias: nil))
    }

    /// Declares a linear layer of several stored matrices with one input.
    ///
    /// - Parameters:
    ///   - names: names of the modules in the checkpoint, with their output features.
    ///   - fusedAlias: name in LoRA files of all parts as one matrix.
    ///   - inputs: input features.
    ///   - bias: whether each part has a stored bias.
    ///   - layout: how the parts become one matrix.
    ///   - accuracy: precision of the product.
    ///   - stage: how often the layer runs.
    /// - Returns: the layer.
    mutating func linear(
        _ names: KeyValuePairs<String, Int>, fusedAlias: String? = nil, inputs: Int,
        bias: Bool = false, layout: MatrixSource.Layout = .stacked,
        accuracy: LinearSpec.Accuracy = .standard, stage: LinearSpec.Stage
    ) -> LinearSpec {
        add(
            LinearSpec(
                parts: names.map { part($0.key, $0.value, []) }, inputs: inputs, hasBias: bias,
                layout: layout, accuracy: accuracy, stage: stage,
                fusedAlias: fusedAlias))
    }

    private func part(_ name: String, _ outputs: Int, _ aliases: [String]) -> LinearSpec.Part {
        LinearSpec.Part(
            name: name, outputs: outputs, aliases: aliases)
    }

    private mutating func add(_ layer: LinearSpec) -> LinearSpec {
        linears.append(layer)
        tensors += layer.tensors
        return layer
    }

    /// Declares a convolution.
    ///
    /// - Parameters:
    ///   - name: name of the module in the checkpoint.
    ///   - inputs: input channels.
    ///   - outputs: output channels.
    ///   - kernel: rows and columns of the kernel.
    ///   - stride: distance between outputs.
    ///   - bias: whether a bias is stored.
    /// - Returns: the layer.
    mutating func convolution(
        _ name: String, _ inputs: Int, _ outputs: Int, kernel: Int = 3, stride: Int = 1,
        bias: Bool = true
    ) -> ConvolutionSpec {
        let spec = ConvolutionSpec(
            name: name, inputs: inputs, outputs: outputs, kernel: kernel, stride: stride,
            hasBias: bias)
        tensors += spec.tensors
        return spec
    }
}
