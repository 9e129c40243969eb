// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Parameters

extension SecondPass.Upscaler {
    /// The names that A1111's clients choose each upscaler by; enlarging is the same with and without antialiasing
    /// between two latents.
    var a1111Names: [String] {
        switch self {
        case .lanczos: ["Lanczos"]
        case .latent: ["Latent", "Latent (antialiased)"]
        case .latentBicubic: ["Latent (bicubic)"]
        case .latentNearest: ["Latent (nearest-exact)", "Latent (nearest)"]
        }
    }
}

extension SecondPass.Draft {
    /// Reads `enable_hr` and its fields; `nil` without it.
    ///
    /// - Throws: `APIError` 400 that names the field.
    init?(a1111 fields: RequestFields) throws(APIError) {
        guard try fields.bool("enable_hr") == true else { return nil }
        self.init()
        try fields.refuse(Self.unsupported)
        try Self.refuseOtherPrompts(fields)
        factor = try fields.number("hr_scale")
        width = try fields.integer("hr_resize_x").map { Int(clamping: $0) }
        height = try fields.integer("hr_resize_y").map { Int(clamping: $0) }
        steps = try fields.integer("hr_second_pass_steps").map { Int(clamping: $0) }
        strength = try fields.number("denoising_strength") ?? 0.75
        guard strength != 0 else {
            throw .invalid(
                "denoising_strength",
                "denoising_strength must be above 0 with enable_hr: without noise the second pass only enlarges the"
                    + " image; leave enable_hr out and enlarge it afterwards.")
        }
        upscaler = try Self.upscaler(fields)
        try read(
            sampler: Self.choice(fields, "hr_sampler_name"),
            schedule: Self.choice(fields, "hr_scheduler"))
    }

    private static let unsupported = [
        UnsupportedField("hr_checkpoint_name", "both passes have one model; leave it out") {
            $0.isOff || $0.isWord(["use same checkpoint"])
        },
        UnsupportedField("hr_cfg", "both passes have one guidance; leave it out"),
    ]

    /// A name, unless it stands for that of the first pass.
    private static func choice(
        _ fields: RequestFields, _ name: String
    ) throws(APIError) -> String? {
        guard let text = try fields.string(name) else { return nil }
        return ["use same sampler", "use same scheduler"].contains(text.lowercased()) ? nil : text
    }

    private static func refuseOtherPrompts(_ fields: RequestFields) throws(APIError) {
        for (name, first) in [
            ("hr_prompt", "prompt"), ("hr_negative_prompt", "negative_prompt"),
        ] {
            guard let text = try fields.text(name), !text.isEmpty,
                try !text.utf8.elementsEqual((fields.text(first) ?? "").utf8)
            else { continue }
            throw UnsupportedField(name, "both passes have one prompt; leave it out").refusal(name)
        }
    }

    private static func upscaler(
        _ fields: RequestFields
    ) throws(APIError) -> SecondPass.Upscaler {
        guard let name = try fields.string("hr_upscaler"), !name.isEmpty else { return .latent }
        let all = SecondPass.Upscaler.allCases
        let key = name.utf8.count <= 64 ? name.lowercased() : ""
        guard
            let known = all.first(where: { upscaler in
                upscaler.rawValue == key || upscaler.a1111Names.contains { $0.lowercased() == key }
            })
        else {
            throw .invalid(
                "hr_upscaler",
                "could not find upscaler named \(JSONValue.string(name).summary); hr_upscaler must be one"
                    + " of \(all.flatMap(\.a1111Names).joined(separator: ", ")).")
        }
        return known
    }
}
