// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Parameters

extension RequestFields {
    /// A seed from 0 to 2^64 - 1, or `nil` for a random one: absent, negative, or an empty text.
    ///
    /// It may be a text, for clients whose numbers are exact to 2^53 only, and a list of exactly one, which some
    /// clients send for several images.
    ///
    /// - Throws: `APIError` 400 that names the field.
    func seed(_ names: String...) throws(APIError) -> UInt64? {
        guard let (name, value) = first(names) else { return nil }
        var stated = value
        if case .array(let values) = value, values.count == 1 { stated = values[0] }
        switch stated {
        case .integer(let number): return UInt64(exactly: number)
        case .unsigned(let number): return number
        // Further below zero than integers reach.
        case .number(let number) where number <= -0x1p63: return nil
        case .bool(let flag) where dialect == .pydantic: return flag ? 1 : 0
        case .string(let text) where text.utf8.count <= 64:
            let digits = text.trimming(" \t\r\n")
            if digits.isEmpty { return nil }
            if let number = UInt64(digits) { return number }
            if digits.utf8.first == UInt8(ascii: "-"), digits.utf8.count > 1,
                digits.utf8.dropFirst().allSatisfy({ (0x30...0x39).contains($0) })
            {
                return nil
            }
        default: break
        }
        throw wrong(
            name, "an integer from 0 to \(UInt64.max), or a negative one for a random seed", value)
    }
}

extension SamplingParameters.Draft {
    /// Reads what beside the seed decides the noise, under the names of every client.
    ///
    /// - Throws: `APIError` 400 that names the field.
    mutating func readSeeds(_ fields: RequestFields) throws(APIError) {
        variationSeed = try fields.seed("variation_seed", "subseed")
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
        let parts = fields.part(object)
        guard let strength = try parts.number("strength") else {
            throw .invalid(name, "\(name) must have a strength, such as {\"strength\": 0.5}.")
        }
        var variance = SeedVariance(strength: strength)
        variance.share = try parts.number("share") ?? variance.share
        variance.until = try parts.number("until") ?? variance.until
        return variance
    }
}
