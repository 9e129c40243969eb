// Part of Inkstone. Licence: see LICENSE.

package import Foundation
package import ModelFiles
import Parameters
package import Tensors

/// What a ControlNet is and takes beside a model, from its header alone.
package struct ControlNetPlan: Sendable {
    /// Version, inputs and places.
    package let config: ControlNetConfig
    /// Numbers that are used.
    package let parameterCount: Int
    /// Bytes of weights.
    package let weightBytes: Int
    /// Operations of an evaluation as a share of the model's own.
    package let share: Double

    /// Reads the header of a net and checks that it belongs to a model.
    ///
    /// - Parameters:
    ///   - url: the file or folder of the net.
    ///   - model: the model.
    ///   - precision: precision of products.
    /// - Throws: `CheckpointError`.
    package init(of url: URL, for model: ModelDirectory, precision: Precision) throws {
        let store = try TensorStore(controlNet: url)
        config = try ControlNetConfig(of: store, for: model.transformerConfig)
        let feedForward = try model.feedForwardWidth()
        let spec = ControlNetSpec(
            config, base: model.transformerConfig, feedForward: feedForward)
        try store.validate(
            spec.tensors, tolerating: spec.tolerates,
            against: "the model as a ControlNet of version \(config.version)")
        parameterCount = spec.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
        weightBytes = spec.weightBytes(precision.bytesPerWeight)
        let size = model.manifest.defaults.size
        let tokens = (size.width / 16) * (size.height / 16)
        let own = TransformerSpec(model.transformerConfig, feedForward: feedForward)
            .stepOperations(imageTokens: tokens, captionTokens: 64)
        share =
            Double(spec.operations(imageTokens: tokens, captionTokens: 64)) / Double(max(1, own))
    }
}
