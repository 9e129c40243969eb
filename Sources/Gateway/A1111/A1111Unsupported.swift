// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import ModelFiles

/// What requests of AUTOMATIC1111's clients may ask for that this server does not do.
///
/// Clients send some fifty fields with every request; their defaults are accepted.
extension UnsupportedField {
    private static let settings = "this server has one setting for it; leave it out"

    /// Fields of `txt2img` and `img2img`.
    static let a1111: [UnsupportedField] =
        sampling
        + ["restore_faces", "tiling"].map { UnsupportedField($0) }
        + [
            UnsupportedField("script_name", "this server has no scripts; leave it out"),
            UnsupportedField("script_args", "this server has no scripts; leave it out"),
            UnsupportedField("styles", "this server has no styles; write them into the prompt"),
            UnsupportedField("s_churn", "samplers add noise by eta here; leave it out"),
            UnsupportedField("refiner_checkpoint", "this server has no refiner; leave it out"),
            UnsupportedField("infotext", "send its parameters as fields"),
            UnsupportedField(
                "disable_extra_networks", "leave the LoRA tags out of the prompt instead"),
            UnsupportedField("controlnet_units", "send the units in alwayson_scripts"),
        ]

    /// Fields of `img2img` alone.
    static let a1111Image: [UnsupportedField] = [
        UnsupportedField(
            "enable_hr", "it belongs to txt2img; send hires, such as {\"factor\": 2}, in its place"
        ),
        UnsupportedField("latent_mask", "use mask"),
        UnsupportedField("inpainting_fill", "it must be 0 or 1 here") { $0.isNumber(0, 1) },
        UnsupportedField("initial_noise_multiplier", settings) { $0.isNumber(0, 1) },
        UnsupportedField("mask_blur", "the mask is used as it is; blur it before") {
            $0.isNumber(0, 4)
        },
        UnsupportedField("mask_blur_x", "the mask is used as it is; blur it before") {
            $0.isNumber(0, 4)
        },
        UnsupportedField("mask_blur_y", "the mask is used as it is; blur it before") {
            $0.isNumber(0, 4)
        },
    ]

    /// Entries of `override_settings`.
    private static let a1111Settings: [UnsupportedField] = [
        UnsupportedField("sd_vae", "the autoencoder belongs to the model; leave it out") {
            $0.isOff || $0.isWord(["automatic"])
        },
        UnsupportedField("eta_noise_seed_delta", settings),
        UnsupportedField("token_merging_ratio", settings),
        UnsupportedField("s_min_uncond", settings),
        UnsupportedField("initial_noise_multiplier", settings) { $0.isNumber(0, 1) },
    ]

    /// Refuses what a request asks for and this server does not do.
    ///
    /// - Throws: `APIError` 400 that names the field, the setting or the script.
    static func checkA1111(_ fields: RequestFields, isImageToImage: Bool) throws(APIError) {
        try fields.refuse(a1111 + (isImageToImage ? a1111Image : []))
        if case .object(let settings)? = fields.first("override_settings")?.value {
            try fields.part(settings).refuse(a1111Settings)
        }
        guard let (field, scripts) = fields.first("alwayson_scripts") else { return }
        guard case .object(let scripts) = scripts else {
            guard scripts.isOff else { throw fields.wrong(field, "an object of scripts", scripts) }
            return
        }
        for (name, script) in scripts.sorted(by: { $0.key < $1.key })
        where name.lowercased() != "controlnet" && !isDisabled(script) {
            throw UnsupportedField(
                field, "this server has no script \(JSONValue.string(name).summary); leave it out"
            ).refusal(field)
        }
    }

    /// Whether a script is turned off: it has no arguments, each one is turned off, or the first one is false,
    /// which is the switch of most scripts.
    private static func isDisabled(_ script: JSONValue) -> Bool {
        guard case .object(let fields) = script, let arguments = fields["args"] else {
            return script.isOff
        }
        guard case .array(let list) = arguments else { return isDisabledUnit(arguments) }
        return list.first == .bool(false) || list.allSatisfy(isDisabledUnit)
    }

    /// Whether an argument, such as a unit of ControlNet, is turned off.
    private static func isDisabledUnit(_ argument: JSONValue) -> Bool {
        guard case .object(let unit) = argument, !unit.isEmpty else { return argument.isOff }
        return unit["enabled"] == .bool(false) || unit["enable"] == .bool(false)
            || unit["is_enabled"] == .bool(false)
    }
}
