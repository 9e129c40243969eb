// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Parameters

extension SamplingMethod {
    /// Names of the sampler's field: our own, and those of other servers.
    private static let samplerNames = ["sampler", "sampler_name", "sampler_index", "sample_method"]
    private static let scheduleNames = ["scheduler", "schedule"]

    /// Reads the sampler and its noise levels, under the names of every client.
    ///
    /// - Throws: `APIError` 400 that names the field, for unknown names with those there are.
    init(_ fields: RequestFields) throws(APIError) {
        self.init()
        let sampler = try Self.word(fields, Self.samplerNames)
        let schedule = try Self.word(fields, Self.scheduleNames)
        do {
            let choice = try SamplingChoice(sampler: sampler?.text, schedule: schedule?.text)
            self.sampler = choice.sampler ?? self.sampler
            self.schedule = choice.schedule ?? self.schedule
        } catch {
            throw APIError(
                error,
                names: [
                    "sampler": sampler?.name ?? "sampler",
                    "scheduler": schedule?.name ?? "scheduler",
                ])
        }
        // Clients send 0 for the model's own.
        shift = try fields.number("shift", "flow_shift").flatMap { $0 == 0 ? nil : $0 }
        sigmas = try fields.numbers("sigmas").flatMap { $0.isEmpty ? nil : Self.closing($0) }
        eta = try fields.number("eta") ?? eta
        cacheThreshold = try fields.number("step_cache").flatMap { $0 == 0 ? nil : $0 }
        let rules = StrengthRule.allCases.map(\.rawValue)
        strengthRule =
            try fields.choice("strength_rule", of: rules).flatMap(StrengthRule.init) ?? strengthRule
    }

    /// The text of the first of several fields that is there and not empty.
    private static func word(
        _ fields: RequestFields, _ names: [String]
    ) throws(APIError) -> (name: String, text: String)? {
        for name in names {
            if let text = try fields.string(name), !text.isEmpty { return (name, text) }
        }
        return nil
    }
}
