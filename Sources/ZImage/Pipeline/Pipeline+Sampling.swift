// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Parameters
import Tensors

extension Pipeline {
    /// The noise levels of an image.
    struct Levels {
        /// Those of the whole schedule, in image-to-image too.
        let whole: [Double]
        /// Those that are run.
        let run: [Double]
        let shift: Double
    }

    /// The noise levels of an input, for an image of so many tokens (without padding).
    func levels(of input: PipelineInput, imageTokens: Int) -> Levels {
        levels(
            input.sampling, steps: input.steps,
            strength: input.source.map { _ in input.strength ?? Self.defaultStrength },
            imageTokens: imageTokens)
    }

    /// The noise levels of a run.
    func levels(
        _ method: SamplingMethod, steps: Int, strength: Double?, imageTokens: Int
    ) -> Levels {
        var config = model.schedulerConfig
        if let shift = method.shift {
            config.shift = shift
            config.usesDynamicShifting = false
        }
        let shift = FlowMatchSchedule.shift(imageTokens: imageTokens, config: config)
        func list(_ steps: Int) -> [Double] {
            // The simple schedule is the standard one where its table has those levels.
            let isStandard =
                method.schedule == .standard
                || method.schedule == .simple && 1000.isMultiple(of: steps)
            guard isStandard else { return method.schedule.levels(steps: steps, shift: shift) }
            return FlowMatchSchedule(steps: steps, imageTokens: imageTokens, config: config)
                .sigmas.map(Double.init)
        }
        return Levels(
            whole: method.levels(steps: steps, strength: nil, list: list),
            run: method.levels(steps: steps, strength: strength, list: list),
            shift: shift)
    }
}

extension SamplerRun {
    /// Starts an image's sampler from latents of the first level's noise.
    init<Device: Backend>(
        _ method: SamplingMethod, _ levels: Pipeline<Device>.Levels, latents: [Float]
    ) {
        self.init(
            Settings(method.sampler, eta: method.eta, shift: levels.shift), levels: levels.run,
            latents: latents)
    }
}
