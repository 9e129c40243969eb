// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

package import ModelFiles

/// The noise levels of a run, from 1 (noise) to 0 (picture).
///
/// - Source: diffusers 0.42.1, `FlowMatchEulerDiscreteScheduler.set_timesteps` with the sigmas that
///   the pipelines pass: 1 down to 1/N, shifted once.
package struct FlowMatchSchedule: Sendable, Equatable {
    /// One level a step, then the final 0.
    package let sigmas: [Float]

    /// Levels for `steps` evaluations on `imageTokens` tokens (without padding).
    package init(steps: Int, imageTokens: Int, config: SchedulerConfig) {
        let mu = Self.dynamicShift(imageTokens: imageTokens, config: config)
        var sigmas = (0..<steps).map { index -> Float in
            let u = 1 - Double(index) / Double(steps)
            guard config.usesDynamicShifting else {
                return Float(config.shift * u / (1 + (config.shift - 1) * u))
            }
            let weight = config.timeShiftType == .linear ? mu : exp(mu)
            return Float(weight / (weight + (1 / u - 1)))
        }
        sigmas.append(0)
        self.sigmas = sigmas
    }

    private init(sigmas: [Float]) { self.sigmas = sigmas }

    private static func dynamicShift(imageTokens: Int, config: SchedulerConfig) -> Double {
        let slope =
            (config.maxShift - config.baseShift)
            / Double(config.maxImageSequenceLength - config.baseImageSequenceLength)
        return slope * Double(imageTokens)
            + (config.baseShift - slope * Double(config.baseImageSequenceLength))
    }

    /// Evaluations of the transformer.
    package var steps: Int { sigmas.count - 1 }

    /// The last `strength` of the schedule, for image-to-image.
    package func tail(strength: Double) -> FlowMatchSchedule {
        let keep = min(Double(steps) * strength, Double(steps))
        let start = Int(max(Double(steps) - keep, 0))
        return FlowMatchSchedule(sigmas: Array(sigmas[start...]))
    }

    /// What the transformer is told at `step`: 0 at noise, towards 1 at the picture.
    package func time(_ step: Int) -> Float {
        (1000 - sigmas[step] * 1000) / 1000
    }
}
