// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The noise levels of the model's own schedule, from 1 (noise) to 0 (image).
///
/// - Source: diffusers 0.42.1, `FlowMatchEulerDiscreteScheduler.set_timesteps` with the sigmas that
///   the pipelines pass: 1 down to 1/N, shifted once.
package struct FlowMatchSchedule: Sendable, Equatable {
    /// One level for each step, then the final 0.
    package let sigmas: [Float]

    /// Creates the levels for `steps` evaluations on `imageTokens` tokens (without padding).
    ///
    /// Every operation is in f32 and in the reference's order: the model multiplies times by 1000 and
    /// takes their cosines, so that one unit in the last place here is 5e-5 there.
    package init(steps: Int, imageTokens: Int, config: SchedulerConfig) {
        let weight = Float(Self.shift(imageTokens: imageTokens, config: config))
        let (shift, excess) = (Float(config.shift), Float(config.shift - 1))
        sigmas =
            Self.ramp(steps).map { u in
                config.usesDynamicShifting
                    ? weight / (weight + (1 / u - 1)) : shift * u / (1 + excess * u)
            } + [0]
    }

    /// Returns 1 down to 1/count, from both ends to the middle with one rounding each, as
    /// `torch.linspace` does; equal to it for every count up to 100.
    private static func ramp(_ count: Int) -> [Float] {
        let end = Float(1 / Double(count))
        guard count > 1 else { return [1] }
        let step = (end - 1) / Float(count - 1)
        return (0..<count).map { index in
            index < count / 2
                ? Float(1).addingProduct(step, Float(index))
                : end.addingProduct(-step, Float(count - 1 - index))
        }
    }

    /// Returns the shift of a configuration for images of so many tokens.
    package static func shift(imageTokens: Int, config: SchedulerConfig) -> Double {
        guard config.usesDynamicShifting else { return config.shift }
        let mu = dynamicShift(imageTokens: imageTokens, config: config)
        return config.timeShiftType == .linear ? mu : exp(mu)
    }

    private static func dynamicShift(imageTokens: Int, config: SchedulerConfig) -> Double {
        let slope =
            (config.maxShift - config.baseShift)
            / Double(config.maxImageSequenceLength - config.baseImageSequenceLength)
        return slope * Double(imageTokens)
            + (config.baseShift - slope * Double(config.baseImageSequenceLength))
    }

    /// Returns the transformer's time at a noise level: 0 at noise, towards 1 at the image.
    package static func time(at sigma: Float) -> Float {
        (1000 - sigma * 1000) / 1000
    }
}
