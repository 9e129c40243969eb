// Part of Inkstone. Licence: see LICENSE.

public import ArgumentParser
import Basics
import Engine
public import Parameters

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
            "Seed of the noise, 0 to 2^64 - 1, as in torch, which draws from the lower 32 bits. -1, or none,"
                + " chooses a random one and reports it.", valueName: "seed"))
    var seed: String?

    @Option(
        help: ArgumentHelp(
            "Sampler, such as heun or \"DPM++ 2M Karras\"; a wrong name lists them all.",
            valueName: "name"))
    var sampler: String?

    @Option(
        help: ArgumentHelp(
            "Spacing of the noise levels, such as beta or karras; a wrong name lists them all.",
            valueName: "name"))
    var scheduler: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Shift of the noise levels towards noise; the model's if not given.", valueName: "x"))
    var shift: Double?

    @Option(
        help: ArgumentHelp(
            "Noise levels in place of a schedule, from 1 down, separated by commas.",
            valueName: "x,x,.."))
    var sigmas: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Share of the noise that samplers with noise add, from 0 to 1; 1 if not given.",
            valueName: "x"))
    var eta: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Leaves out steps whose output is expected to change by less than this share, such as 0.1.",
            valueName: "x"))
    var stepCache: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Seed whose noise is mixed in by --variation-strength; -1, or none, chooses one.",
            valueName: "seed"))
    var variationSeed: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Share of the noise of --variation-seed, from 0 to 1. Image i of --count mixes in that seed + i.",
            valueName: "x"))
    var variationStrength: Double?

    @Option(
        help: ArgumentHelp(
            "Noise on the prompt's features for the first part of the schedule, so that seeds differ more:"
                + " amplitude, share of the features (0.5), share of the schedule (0.2).",
            valueName: "x[:share[:until]]"))
    var seedVariance: String?

    @Option(
        help: ArgumentHelp(
            "Second pass in a larger size: a factor such as 2, or a size such as 1536x1024.",
            valueName: "x|WxH"))
    var hires: String?

    @Option(
        help: ArgumentHelp(
            "How --hires enlarges; lanczos if not given.", valueName: "name"))
    var hiresUpscaler: SecondPass.Upscaler?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Noise level of --hires as a share of the schedule, above 0 and at most 1; 0.4 if not given, 0.6 with"
                + " latents.", valueName: "x"))
    var hiresStrength: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Steps of --hires; as many as --steps if not given.", valueName: "n"))
    var hiresSteps: Int?

    @Option(
        help: ArgumentHelp(
            "Evaluates --hires in tiles of so many pixels, for sizes that memory does not allow; neighbours overlap by an"
                + " eighth if not given.", valueName: "side[:overlap]"))
    var hiresTiles: String?

    mutating func validate() throws {
        if hires == nil {
            for (name, isStated) in [
                ("--hires-upscaler", hiresUpscaler != nil),
                ("--hires-strength", hiresStrength != nil), ("--hires-steps", hiresSteps != nil),
                ("--hires-tiles", hiresTiles != nil),
            ] where isStated {
                throw ValidationError("\(name) needs --hires, the second pass.")
            }
        }
        for (name, text) in [("--seed", seed), ("--variation-seed", variationSeed)] {
            guard let text, Self.seed(text) == nil, text != "-1" else { continue }
            throw ValidationError(
                "\(name) must be between 0 and \(UInt64.max), or -1 to choose one, got \(text.quoted)."
            )
        }
    }

    /// A seed, or `nil` for one that is chosen.
    private static func seed(_ text: String?) -> UInt64? { text.flatMap { UInt64($0) } }

    /// The parameters that the options state for a prompt.
    ///
    /// - Throws: `RequestError` for names and levels that cannot be read.
    func draft(_ prompt: String) throws(RequestError) -> SamplingParameters.Draft {
        var draft = SamplingParameters.Draft(prompt: prompt)
        draft.negativePrompt = negativePrompt
        draft.width = width
        draft.height = height
        draft.steps = steps
        draft.guidanceScale = guidanceScale
        draft.cfgNormalization = cfgNormalization
        draft.cfgTruncation = cfgTruncation
        draft.seed = Self.seed(seed)
        draft.sampling = try method()
        draft.variationSeed = Self.seed(variationSeed)
        draft.variationStrength = variationStrength
        draft.seedVariance = try variance()
        draft.secondPass = try secondPass()
        return draft
    }

    private func secondPass() throws(RequestError) -> SecondPass.Draft? {
        guard let hires else { return nil }
        var pass = SecondPass.Draft()
        if let size = PixelSize(hires) {
            (pass.width, pass.height) = (size.width, size.height)
        } else if let factor = Double(hires) {
            pass.factor = factor
        } else {
            throw RequestError(
                field: "hires",
                message: "hires must be a factor such as 2 or a size such as 1536x1024, got"
                    + " \(hires.quoted).")
        }
        pass.upscaler = hiresUpscaler
        pass.strength = hiresStrength
        pass.steps = hiresSteps
        guard let hiresTiles else { return pass }
        let numbers = hiresTiles.split(separator: ":", omittingEmptySubsequences: false)
            .map { Int($0) }
        guard (1...2).contains(numbers.count), !numbers.contains(nil) else {
            throw RequestError(
                field: "hires.tiles",
                message: "hires.tiles must be SIDE or SIDE:OVERLAP in pixels, got"
                    + " \(hiresTiles.quoted).")
        }
        pass.tileSide = numbers[0]
        if numbers.count > 1 { pass.tileOverlap = numbers[1] }
        return pass
    }

    private func variance() throws(RequestError) -> SeedVariance? {
        guard let seedVariance else { return nil }
        let numbers = seedVariance.split(separator: ":", omittingEmptySubsequences: false)
            .map { Double($0) }
        guard (1...3).contains(numbers.count), case let values = numbers.compactMap(\.self),
            values.count == numbers.count
        else {
            throw RequestError(
                field: "seed_variance",
                message:
                    "seed_variance must be STRENGTH, STRENGTH:SHARE or STRENGTH:SHARE:UNTIL, got"
                    + " \(seedVariance.quoted).")
        }
        var variance = SeedVariance(strength: values[0])
        if values.count > 1 { variance.share = values[1] }
        if values.count > 2 { variance.until = values[2] }
        return variance
    }

    private func method() throws(RequestError) -> SamplingMethod {
        var method = SamplingMethod()
        let choice = try SamplingChoice(sampler: sampler, schedule: scheduler)
        method.sampler = choice.sampler ?? method.sampler
        method.schedule = choice.schedule ?? method.schedule
        method.shift = shift
        method.eta = eta ?? method.eta
        method.cacheThreshold = stepCache
        guard let sigmas else { return method }
        let numbers = sigmas.split(separator: ",").map { Double($0) }
        guard !numbers.isEmpty, !numbers.contains(nil) else {
            throw RequestError(
                field: "sigmas",
                message: "sigmas must be numbers separated by commas, got \(sigmas.quoted).")
        }
        method.sigmas = SamplingMethod.closing(numbers.compactMap(\.self))
        return method
    }

    /// A warning for each option that was given but has no effect.
    func unused(in request: ImageRequest) -> [String] {
        let adds = request.sampling.sampler.addsNoise
        let unused =
            eta != nil && !adds
            ? ["--eta has no effect: sampler \(request.sampling.sampler.rawValue) adds no noise."]
            : []
        guard request.guidanceScale == 0 else { return unused }
        return unused
            + [
                ("--negative-prompt", negativePrompt != nil),
                ("--cfg-normalization", cfgNormalization != nil),
                ("--cfg-truncation", cfgTruncation != nil),
            ].filter(\.1).map {
                "\($0.0) has no effect without guidance; add --guidance-scale with a number above 0."
            }
    }
}

extension SecondPass.Upscaler: ExpressibleByArgument {}
extension SamplingMethod.StrengthRule: ExpressibleByArgument {}
