// Part of Inkstone. Licence: see LICENSE.

/// How an image is computed from the model's outputs at falling noise levels.
///
/// Raw values are ComfyUI's names, but for ``dpmpp2MLambda``. All of them use the formulas for flow matching.
public enum Sampler: String, Sendable, Codable, CaseIterable {
    /// One straight line for each step; DDIM is the same.
    case euler
    /// Euler, corrected by the slope at the step's end.
    case heun
    /// Euler, with the slope in the step's middle.
    case dpm2 = "dpm_2"
    /// Euler down to a lower level, and noise back up.
    case eulerAncestral = "euler_ancestral"
    /// The second order of ``eulerAncestral``.
    case dpmpp2SAncestral = "dpmpp_2s_ancestral"
    /// Second order from the step before, in the logarithm of the noise level, as web UIs compute it.
    case dpmpp2M = "dpmpp_2m"
    /// The same in the logarithm of the signal-to-noise ratio, as diffusers computes it.
    case dpmpp2MLambda = "dpmpp_2m_lambda"
    /// Second order from the step before, with noise.
    case dpmpp2MSDE = "dpmpp_2m_sde"
    /// The predicted image with new noise at each level.
    case lcm
    /// An exponential integrator that uses the step before.
    case resMultistep = "res_multistep"
    /// An exponential integrator of two stages.
    case res2S = "res_2s"
    /// A solver of the extended reverse-time equation, of the third order, with noise.
    case erSDE = "er_sde"
    /// Predictor and corrector of the second order, or of the third from 21 steps on.
    case uniPC = "uni_pc"

    /// Whether a step evaluates the model twice, other than the last.
    public var evaluatesTwice: Bool {
        switch self {
        case .heun, .dpm2, .dpmpp2SAncestral, .res2S: true
        default: false
        }
    }

    /// Whether it adds noise after each step other than the last.
    public var addsNoise: Bool {
        switch self {
        case .eulerAncestral, .dpmpp2SAncestral, .dpmpp2MSDE, .lcm, .erSDE: true
        default: false
        }
    }

    /// Evaluations of the model in so many steps.
    public func evaluations(steps: Int) -> Int { evaluatesTwice ? max(1, 2 * steps - 1) : steps }
}
