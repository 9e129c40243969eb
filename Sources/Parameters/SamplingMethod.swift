// Part of Inkstone. Licence: see LICENSE.

/// How an image is computed from the model's outputs: the sampler and its noise levels.
public struct SamplingMethod: Sendable, Equatable {
    /// Which part of a schedule a strength selects.
    public enum StrengthRule: String, Sendable, Codable, CaseIterable {
        /// The last `strength * steps` of the steps, as diffusers.
        case steps
        /// As many steps as stated, the last ones of a schedule that is longer: ComfyUI's rule, and that of
        /// second passes.
        case exactSteps = "exact_steps"
        /// As many steps as stated, with the schedule's levels times the strength: a schedule from 1 begins at the noise
        /// level that the strength is.
        case noiseLevel = "noise_level"
    }

    /// The sampler.
    public var sampler = Sampler.euler
    /// The spacing of the noise levels.
    public var schedule = NoiseSchedule.standard
    /// Shift towards noise; `nil` is the model's.
    ///
    /// Schedules that take no shift, and ``sigmas``, ignore it.
    public var shift: Double?
    /// Noise levels in place of a schedule's, falling to 0.
    public var sigmas: [Double]?
    /// Share of the noise that samplers with noise add, 0 to 1.
    public var eta = 1.0
    /// Which part of the schedule is run on a source image.
    public var strengthRule = StrengthRule.steps
    /// Evaluations are left out while their outputs are expected to change by less than this share; `nil` makes all.
    public var cacheThreshold: Double?

    /// Euler on the model's own schedule.
    public init() {}

    /// The noise levels of a run.
    ///
    /// - Parameters:
    ///   - steps: steps of the schedule.
    ///   - strength: share of the schedule that is run; `nil` runs it all.
    ///   - list: returns the schedule's levels for a number of steps.
    /// - Returns: the levels that are run, then 0.
    package func levels(
        steps: Int, strength: Double?, list: (Int) -> [Double]
    ) -> [Double] {
        guard let strength else { return sigmas ?? list(steps) }
        if strengthRule == .noiseLevel { return (sigmas ?? list(steps)).map { $0 * strength } }
        if strengthRule == .exactSteps, sigmas == nil {
            return list(Int(Double(steps) / min(strength, 0.999))).suffix(steps + 1)
        }
        let whole = sigmas ?? list(steps)
        let count = Double(whole.count - 1)
        let start = Int(max(count - min(count * strength, count), 0))
        return Array(whole[start...])
    }

    /// Evaluations of the transformer for one image.
    package func evaluations(steps: Int, strength: Double?) -> Int {
        // The number of levels does not depend on the shift.
        let levels = levels(steps: steps, strength: strength) { count in
            schedule.levels(steps: count, shift: 3)
        }
        return sampler.evaluations(steps: levels.count - 1)
    }
}

extension SamplingParameters {
    /// Evaluations of the transformer for one image, in both passes; guidance evaluates both prompts in each.
    public var evaluations: Int { evaluations(strength: strength) }

    /// Evaluations of the transformer for one image that starts from another one with a strength, or from noise.
    public func evaluations(strength: Double?) -> Int {
        sampling.evaluations(steps: steps, strength: strength) + laterEvaluations
    }
}

// MARK: - JSON

extension SamplingMethod: Codable {
    private enum CodingKeys: String, CodingKey {
        case sampler, scheduler, shift, sigmas, eta, strengthRule
        case cacheThreshold = "stepCache"
    }

    /// Reads the fields that are there; the others have the values that change nothing.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        sampler = try fields.decodeIfPresent(Sampler.self, forKey: .sampler) ?? sampler
        schedule = try fields.decodeIfPresent(NoiseSchedule.self, forKey: .scheduler) ?? schedule
        shift = try fields.decodeIfPresent(Double.self, forKey: .shift)
        sigmas = try fields.decodeIfPresent([Double].self, forKey: .sigmas)
        eta = try fields.decodeIfPresent(Double.self, forKey: .eta) ?? eta
        strengthRule =
            try fields.decodeIfPresent(StrengthRule.self, forKey: .strengthRule) ?? strengthRule
        cacheThreshold = try fields.decodeIfPresent(Double.self, forKey: .cacheThreshold)
    }

    /// Writes the fields that change something.
    public func encode(to encoder: any Encoder) throws {
        let standard = SamplingMethod()
        var fields = encoder.container(keyedBy: CodingKeys.self)
        if sampler != standard.sampler { try fields.encode(sampler, forKey: .sampler) }
        if schedule != standard.schedule { try fields.encode(schedule, forKey: .scheduler) }
        try fields.encodeIfPresent(shift, forKey: .shift)
        try fields.encodeIfPresent(sigmas, forKey: .sigmas)
        if eta != standard.eta { try fields.encode(eta, forKey: .eta) }
        if strengthRule != standard.strengthRule {
            try fields.encode(strengthRule, forKey: .strengthRule)
        }
        try fields.encodeIfPresent(cacheThreshold, forKey: .cacheThreshold)
    }
}

// MARK: - Checks

extension SamplingMethod {
    /// The longest schedule of which a part is run.
    private static let longestSchedule = 1000

    /// Appends the final 0 to stated levels where it is missing.
    package static func closing(_ sigmas: [Double]) -> [Double] {
        sigmas.last == 0 ? sigmas : sigmas + [0]
    }

    /// - Throws: `RequestError` that names the field, what was expected and the value received.
    package func check(steps: Int, strength: Double?) throws(RequestError) {
        if let shift { try RequestError.check(shift, "shift", in: 0.01...100) }
        try RequestError.check(eta, "eta", in: 0...1)
        try checkCache()
        if let sigmas { try check(sigmas, startsFromNoise: strength == nil) }
        guard sigmas != nil || steps >= schedule.minimumSteps else {
            throw RequestError(
                field: "steps",
                message: "steps must be at least \(schedule.minimumSteps) with scheduler"
                    + " \(schedule.rawValue), got \(steps).")
        }
        if let strength, strengthRule == .exactSteps,
            Double(steps) / strength > Double(Self.longestSchedule)
        {
            throw RequestError(
                field: "strength",
                message:
                    "strength \(strength) makes \(steps) exact steps part of a schedule of more"
                    + " than \(Self.longestSchedule); raise strength.")
        }
    }

    private func checkCache() throws(RequestError) {
        guard let cacheThreshold else { return }
        guard cacheThreshold > 0, cacheThreshold <= 1 else {
            throw RequestError(
                field: "step_cache",
                message: "step_cache must be above 0 and at most 1, got \(cacheThreshold).")
        }
        guard !sampler.evaluatesTwice else {
            throw RequestError(
                field: "sampler",
                message: "sampler \(sampler.rawValue) evaluates each step twice, which step_cache"
                    + " does not support; choose another one, or leave out step_cache.")
        }
    }

    private func check(_ sigmas: [Double], startsFromNoise: Bool) throws(RequestError) {
        func wrong(_ what: String) -> RequestError {
            RequestError(field: "sigmas", message: "sigmas must \(what).")
        }
        guard sigmas.count > 1, sigmas.last == 0 else {
            throw wrong("have at least one noise level above 0")
        }
        for (high, low) in zip(sigmas, sigmas.dropFirst()) where !(high > low) {
            throw wrong("fall from each to the next, got \(low) after \(high)")
        }
        guard sigmas[0] <= 1 else { throw wrong("begin at 1 or below, got \(sigmas[0])") }
        guard sigmas[0] == 1 || !startsFromNoise else {
            throw wrong("begin at 1 without a source image, got \(sigmas[0])")
        }
    }
}
