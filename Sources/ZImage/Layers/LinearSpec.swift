// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// A linear layer as it is declared beside the code that runs it.
///
/// Loading, the check of a checkpoint's shapes, LoRA targets and counts of operations are derived
/// from it. Stored matrices with one input, such as those of queries, keys and values, are one
/// layer: they are packed into one matrix.
package struct LinearSpec: Sendable {
    /// A stored matrix and, if the layer has one, its bias.
    package struct Part: Sendable {
        /// Name of the module in the checkpoint, without `.weight`.
        package let name: String
        /// Output features.
        let outputs: Int
        /// Other names of the module in LoRA files.
        let aliases: [String]
        /// Name of the matrix in the checkpoint.
        var weight: String { name + ".weight" }
        /// Name of the bias in the checkpoint.
        var bias: String { name + ".bias" }
    }

    /// How often the layer runs.
    enum Stage: Sendable {
        /// Once for each prompt.
        case caption
        /// Once for each time of a schedule.
        case modulation
        /// In every step.
        case step
    }

    /// Precision of the product.
    enum Accuracy: Sendable {
        /// The device's precision.
        case standard
        /// The device's precision for layers that 8 bits would harm.
        case sensitive
        /// f32 on every device.
        case full
    }

    /// The stored matrices, one below the other.
    package let parts: [Part]
    /// Input features.
    let inputs: Int
    let hasBias: Bool
    let layout: MatrixSource.Layout
    let accuracy: Accuracy
    let stage: Stage
    /// Name in LoRA files of all parts as one matrix.
    let fusedAlias: String?

    /// Identifies the layer within a model.
    var key: String { parts[0].name }
    /// Names of the stored matrices.
    var weights: [String] { parts.map(\.weight) }
    /// Output features of all parts.
    var outputs: Int { parts.reduce(0) { $0 + $1.outputs } }
    /// Operations for one row: two for each multiply-add.
    var operations: Int { 2 * inputs * outputs }
    /// Bytes of numbers of `width` bytes, with a scale for each row.
    func bytes(_ width: Int) -> Int { (inputs * width + 4) * outputs }

    /// Names and shapes of the stored tensors.
    var tensors: [TensorSpec] {
        parts.flatMap { part in
            [TensorSpec(part.weight, [part.outputs, inputs])]
                + (hasBias ? [TensorSpec(part.bias, [part.outputs])] : [])
        }
    }

    /// Precision of the product on a device.
    func precision<Device: Backend>(on device: Device) -> Precision {
        switch accuracy {
        case .standard: device.precision
        case .sensitive: device.sensitivePrecision
        case .full: .f32
        }
    }
}
