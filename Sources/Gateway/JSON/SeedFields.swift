// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Parameters

extension SamplingParameters.Draft {
    /// Reads what beside the seed decides the noise, under the names of every client.
    ///
    /// - Throws: `APIError` 400 that names the field.
    mutating func readSeeds(_ fields: RequestFields) throws(APIError) {
        variationSeed = try fields.integer("variation_seed", "subseed")
        variationStrength = try fields.number("variation_strength", "subseed_strength")
        if let strength = variationStrength, !(0...1).contains(strength) {
            let name = fields.first("variation_strength", "subseed_strength")?.name
            throw .invalid(
                name, "\(name ?? "variation_strength") must be between 0 and 1, got \(strength).")
        }
        // Clients send 0 or -1 for the image's own size.
        let width = try fields.integer("seed_resize_from_w") ?? 0
        let height = try fields.integer("seed_resize_from_h") ?? 0
        if width > 0, height > 0 {
            noiseSize = PixelSize(width: Int(clamping: width), height: Int(clamping: height))
        }
        seedVariance = try Self.variance(fields)
    }

    /// Noise on the prompt: a strength, or an object with `strength`, `share` and `until`.
    private static func variance(_ fields: RequestFields) throws(APIError) -> SeedVariance? {
        guard let (name, value) = fields.first("seed_variance") else { return nil }
        guard case .object(let object) = value else {
            return try fields.number(name).map(SeedVariance.init)
        }
        let parts = RequestFields(object)
        guard let strength = try parts.number("strength") else {
            throw .invalid(name, "\(name) must have a strength, such as {\"strength\": 0.5}.")
        }
        var variance = SeedVariance(strength: strength)
        variance.share = try parts.number("share") ?? variance.share
        variance.until = try parts.number("until") ?? variance.until
        return variance
    }
}
