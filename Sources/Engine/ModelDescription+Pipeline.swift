// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
public import Tensors
public import ZImage

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension ModelDescription {
    /// What a loaded pipeline tells its clients.
    public init(pipeline: Pipeline<CPUBackend>) {
        self.init(
            model: pipeline.model, parameterCount: pipeline.memory.parameterCount,
            precision: pipeline.device.precision, kernels: pipeline.device.kernelsName)
    }

    /// What a model folder says about itself, for kernels and a precision that were chosen.
    package init(
        model: ModelDirectory, parameterCount: Int, precision: Precision, kernels: String
    ) {
        let manifest = model.manifest
        let defaults = manifest.defaults
        // Positions beyond the rotary tables are unknown to the model.
        let unit = 2 * model.autoencoderConfig.scale
        let lengths = model.transformerConfig.axesLengths
        let limits = manifest.limits
        self.init(
            id: manifest.id,
            name: manifest.name,
            summary: manifest.summary,
            license: manifest.license,
            defaults: Defaults(
                size: PixelSize(width: defaults.width, height: defaults.height),
                steps: defaults.steps, guidanceScale: defaults.guidanceScale,
                negativePrompt: defaults.negativePrompt),
            limits: Limits(
                maximumWidth: min(limits.maximumWidth ?? 2048, unit * lengths[2]),
                maximumHeight: min(limits.maximumHeight ?? 2048, unit * lengths[1]),
                maximumSteps: limits.maximumSteps ?? 200,
                maximumCount: limits.maximumCount ?? 10,
                maximumPromptLength: limits.maximumPromptLength ?? 32_000,
                sizeMultiple: unit),
            sizes: manifest.sizes.map { PixelSize(width: $0.width, height: $0.height) },
            presets: manifest.presets.map {
                Preset(
                    id: $0.id, name: $0.name,
                    size: PixelSize(width: $0.width, height: $0.height), steps: $0.steps,
                    guidanceScale: $0.guidanceScale)
            },
            examples: manifest.examples,
            parameterCount: parameterCount,
            precision: precision.rawValue,
            kernels: kernels,
            loadedAt: Int(Date().timeIntervalSince1970))
    }
}
