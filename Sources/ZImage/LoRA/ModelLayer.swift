// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
package import Tensors

/// A product of the model and the stored weights that it is made of.
package struct ModelLayer: Sendable {
    /// What depends on the layer beside the latents.
    enum Use: Sendable {
        /// What is made of a prompt once.
        case caption
        /// What is made of a time once.
        case modulation
        /// Neither.
        case step
    }

    /// Name of the first weight, without `.weight`; names of both components differ.
    package let key: String
    /// Stored weights, one below the other.
    package let tensors: [String]
    package let layout: MatrixSource.Layout
    /// Whether the layer is in f32 whatever the precision.
    package let isSensitive: Bool
    let use: Use

    init(
        _ modules: [String], layout: MatrixSource.Layout = .stacked, isSensitive: Bool = false,
        use: Use
    ) {
        key = modules[0]
        tensors = modules.map { $0 + ".weight" }
        self.layout = layout
        self.isSensitive = isSensitive
        self.use = use
    }
}
