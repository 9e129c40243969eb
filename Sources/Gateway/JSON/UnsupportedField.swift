// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import ModelFiles

/// A field of another server that would change the image, and that this one does not implement.
struct UnsupportedField: Sendable {
    let name: String
    /// Whether a value changes nothing, as the defaults do that clients always send.
    let isHarmless: @Sendable (JSONValue) -> Bool
    /// What to do instead.
    let advice: String

    /// - Parameters:
    ///   - name: the field.
    ///   - advice: what to do instead.
    ///   - isHarmless: whether a value changes nothing; by default one that turns the field off.
    init(
        _ name: String, _ advice: String = "this server has no such step; leave it out",
        isHarmless: @escaping @Sendable (JSONValue) -> Bool = \.isOff
    ) {
        self.name = name
        self.advice = advice
        self.isHarmless = isHarmless
    }

    /// The error for a value that is not harmless.
    func refusal(_ name: String) -> APIError {
        APIError(
            .badRequest, code: "unsupported_parameter", parameter: name,
            "\(name) is not possible: \(advice).")
    }
}

extension RequestFields {
    /// Refuses fields that would change the image and are not implemented.
    ///
    /// - Throws: `APIError` 400 that names the first such field.
    func refuse(_ unsupported: [UnsupportedField]) throws(APIError) {
        for field in unsupported {
            guard let (name, value) = first(field.name), !field.isHarmless(value) else { continue }
            throw field.refusal(name)
        }
    }
}

extension JSONValue {
    /// Whether the value turns a field off: false, 0, an empty text, list or object, or the word for one.
    var isOff: Bool {
        switch self {
        case .null: true
        case .bool(let value): !value
        case .integer(let value): value == 0
        case .unsigned: false
        case .number(let value): value == 0
        case .string(let value):
            value.utf8.count <= 16 && ["", "none", "false", "0"].contains(value.lowercased())
        case .array(let values): values.isEmpty
        case .object(let fields): fields.isEmpty
        }
    }

    /// Whether the value is one of some numbers; the fields of forms are text.
    func isNumber(_ numbers: Double...) -> Bool {
        switch self {
        case .integer(let value): numbers.contains(Double(value))
        case .number(let value): numbers.contains(value)
        case .string(let value):
            value.utf8.count <= 64 && Double(value).map(numbers.contains) ?? false
        default: false
        }
    }

    /// Whether the value is one of some words in any case.
    func isWord(_ words: Set<String>) -> Bool {
        guard case .string(let value) = self, value.utf8.count <= 64 else { return false }
        return words.contains(value.lowercased())
    }
}

extension UnsupportedField {
    /// What fields of the noise levels may be in every dialect.
    static let sampling = [UnsupportedField("timesteps", "send the noise levels as sigmas")]

    /// Fields of OpenAI's dialect and those of other servers that speak it.
    static let generation: [UnsupportedField] =
        sampling
        + [
            UnsupportedField(
                "input_fidelity",
                "it must be low here; send a smaller strength, such as 0.3, to stay closer to"
                    + " the image"
            ) { $0.isOff || $0.isWord(["low", "auto"]) },
            UnsupportedField("frame_count", "this server makes single images; leave it out") {
                $0.isNumber(0, 1)
            },
            UnsupportedField("num_images_per_prompt", "use n") { $0.isNumber(0, 1) },
            UnsupportedField("controlnet", "use controls"),
            UnsupportedField("controlnet_units", "use controls"),
        ]
        + [
            "svg", "complexity", "enable_upscaling",
            "enhance_prompt",
            "enable_teacache", "diffusers_kwargs", "extra_params", "layers", "latents",
            "prompt_embeds", "negative_prompt_embeds", "joint_attention_kwargs",
            "cross_attention_kwargs", "ip_adapter_image", "refiner",
        ].map { UnsupportedField($0) }

    /// Fields that start from an image, where there is none.
    static let sources: [UnsupportedField] = [
        "image", "images", "mask", "mask_image", "file", "files", "ref_images", "init_images",
    ].map { UnsupportedField($0, "send a form with the image to /v1/images/edits") }
}
