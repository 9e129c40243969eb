// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Parameters

extension SecondPass.Draft {
    /// Reads field `hires`; `nil` where it is absent, false or 0.
    ///
    /// It is a factor, true for twice as large, or an object with `factor` or `width` and `height`, `upscaler`,
    /// `strength`, `steps`, `sampler`, `scheduler` and `tiles`, a side or an object with `side` and `overlap`.
    ///
    /// - Throws: `APIError` 400 that names the field.
    init?(_ fields: RequestFields) throws(APIError) {
        guard let (name, value) = fields.first("hires") else { return nil }
        self.init()
        switch value {
        case _ where value.isOff: return nil
        case .bool: return
        case .object(let object):
            do throws(APIError) { try read(fields.part(object)) } catch {
                guard let part = error.parameter else { throw error }
                var error = error
                error.parameter = "hires.\(part)"
                error.message = "hires.\(error.message)"
                throw error
            }
        default: factor = try fields.number(name)
        }
    }

    private mutating func read(_ fields: RequestFields) throws(APIError) {
        factor = try fields.number("factor", "scale")
        width = try fields.integer("width", "target_width").map { Int(clamping: $0) }
        height = try fields.integer("height", "target_height").map { Int(clamping: $0) }
        strength = try fields.number("strength", "denoising_strength")
        steps = try fields.integer("steps").map { Int(clamping: $0) }
        let names = SecondPass.Upscaler.allCases.map(\.rawValue)
        upscaler = try fields.choice("upscaler", of: names).flatMap(SecondPass.Upscaler.init)
        try read(sampler: fields.string("sampler"), schedule: fields.string("scheduler"))
        guard let (_, tiles) = fields.first("tiles"), !tiles.isOff else { return }
        guard case .object(let object) = tiles else {
            tileSide = try fields.integer("tiles").map { Int(clamping: $0) }
            return
        }
        let parts = RequestFields(object)
        do throws(APIError) {
            tileSide = try parts.integer("side").map { Int(clamping: $0) }
            tileOverlap = try parts.integer("overlap").map { Int(clamping: $0) }
        } catch {
            throw .invalid("tiles", "tiles.\(error.message)")
        }
        guard tileSide != nil else {
            throw .invalid("tiles", "tiles must have a side in pixels, or be one.")
        }
    }

    /// Chooses the sampler of the second pass.
    mutating func read(sampler: String?, schedule: String?) throws(APIError) {
        do {
            let choice = try SamplingChoice(sampler: sampler, schedule: schedule)
            self.sampler = choice.sampler
            self.schedule = choice.schedule
        } catch { throw APIError(error) }
    }
}
