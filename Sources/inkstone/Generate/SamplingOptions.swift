// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Parameters

/// The options that state sampling parameters.
struct SamplingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Negative prompt; needs --guidance-scale.", valueName: "text"))
    var negativePrompt: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Width in pixels; the model's default if not given.", valueName: "px"))
    var width: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Height in pixels; the model's default if not given.", valueName: "px"))
    var height: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Number of denoising steps; the model's default if not given.", valueName: "n"))
    var steps: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Guidance scale g in positive + g (positive - negative); 0 is off, the model's default if not"
                + " given.", valueName: "g"))
    var guidanceScale: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Maximum norm of the guided output as a multiple of the unguided; 0 is off.",
            valueName: "x"))
    var cfgNormalization: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Guidance stops where 1 - sigma exceeds this, from 0 to 1.", valueName: "x"))
    var cfgTruncation: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Seed of the noise, 0 or more, as in torch. -1, or none, chooses a random one and"
                + " reports it.", valueName: "seed"))
    var seed: Int64?

    mutating func validate() throws {
        if let seed, seed < -1 {
            throw ValidationError(
                "--seed must be between 0 and \(Int64.max), or -1 to choose one, got \(seed).")
        }
    }

    /// The parameters that the options state for a prompt.
    func draft(_ prompt: String) -> SamplingParameters.Draft {
        var draft = SamplingParameters.Draft(prompt: prompt)
        draft.negativePrompt = negativePrompt
        draft.width = width
        draft.height = height
        draft.steps = steps
        draft.guidanceScale = guidanceScale
        draft.cfgNormalization = cfgNormalization
        draft.cfgTruncation = cfgTruncation
        draft.seed = seed
        return draft
    }

    /// A warning for each option that was given but has no effect.
    func unused(in request: ImageRequest) -> [String] {
        guard request.guidanceScale == 0 else { return [] }
        return [
            ("--negative-prompt", negativePrompt != nil),
            ("--cfg-normalization", cfgNormalization != nil),
            ("--cfg-truncation", cfgTruncation != nil),
        ].filter(\.1).map {
            "\($0.0) has no effect without guidance; add --guidance-scale with a number above 0."
        }
    }
}
