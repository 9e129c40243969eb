// Part of Inkstone. Licence: see LICENSE.

import Foundation
package import ModelFiles
import Parameters
public import Tensors
public import ZImage

extension ModelDescription {
    /// The description of a loaded pipeline for clients.
    public init(pipeline: Pipeline<some Backend>) {
        self.init(
            model: pipeline.model, parameterCount: pipeline.memory.parameterCount,
            precision: pipeline.device.precisionName, kernels: pipeline.device.kernelsName)
    }

    /// The description of a model folder, with the selected kernels and precision.
    package init(
        model: ModelDirectory, parameterCount: Int, precision: String, kernels: String
    ) {
        let manifest = model.manifest
        // The rotary tables limit the positions.
        let unit = 2 * model.autoencoderConfig.scale
        let lengths = model.transformerConfig.axesLengths
        var limits = manifest.limits
        limits.maximumWidth = min(limits.maximumWidth, unit * lengths[2])
        limits.maximumHeight = min(limits.maximumHeight, unit * lengths[1])
        limits.sizeMultiple = unit
        self.init(
            id: manifest.id,
            name: manifest.name,
            summary: manifest.summary,
            license: manifest.license,
            defaults: manifest.defaults,
            limits: limits,
            sizes: manifest.sizes,
            presets: manifest.presets,
            examples: manifest.examples,
            words: manifest.words.isEmpty ? nil : manifest.words,
            parameterCount: parameterCount,
            precision: precision,
            kernels: kernels,
            loadedAt: Int(Date().timeIntervalSince1970))
    }
}
