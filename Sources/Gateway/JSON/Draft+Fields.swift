// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import ModelFiles
import Parameters

extension ImageRequest.Draft {
    /// Our field names by the names that clients of the JSON dialects use.
    static let clientNames = ["count": "n", "width": "size", "height": "size"]

    /// Reads the parameters that all JSON dialects share, with the aliases of all dialects.
    ///
    /// - Throws: `APIError` that names a field of the wrong type or a size that cannot be read.
    init(_ fields: RequestFields) throws(APIError) {
        try fields.refuse(UnsupportedField.generation)
        self.init(try SamplingParameters.Draft(prompt: Self.prompt(fields), fields))
        count = try fields.integer("n", "count").map { Int(clamping: $0) }
        priority = try Self.priority(fields)
        embedsParameters = try fields.bool("embed_parameters")
    }

    /// The priority of the request, or `nil` if absent.
    static func priority(_ fields: RequestFields) throws(APIError) -> Priority? {
        guard let text = try fields.string("priority"), !text.isEmpty else { return nil }
        guard let priority = Priority(rawValue: text) else {
            throw .invalid(
                "priority",
                "priority must be low, normal or high, got \(JSONValue.string(text).summary).")
        }
        return priority
    }

    /// The prompt; an array is accepted if it has exactly one.
    private static func prompt(_ fields: RequestFields) throws(APIError) -> String {
        guard let (name, value) = fields.first("prompt") else {
            throw APIError(
                .badRequest, code: "missing_required_parameter", parameter: "prompt",
                "prompt is required: a string that describes the image.")
        }
        switch value {
        case .string(let text): return text
        case .array(let values):
            if values.count == 1, case .string(let text) = values[0] { return text }
            throw fields.wrong(name, "a string or an array of one string", value)
        default: throw fields.wrong(name, "a string", value)
        }
    }
}

extension SamplingParameters.Draft {
    /// Reads the sampling parameters that all dialects share, under the names of every client.
    ///
    /// - Throws: `APIError` that names a field of the wrong type or a size that cannot be read.
    init(prompt: String, _ fields: RequestFields) throws(APIError) {
        self.init(prompt: prompt)
        negativePrompt = try fields.text("negative_prompt")
        if let text = try fields.string("size"), !["", "auto", "original"].contains(text) {
            guard let size = PixelSize(text) else {
                throw .invalid(
                    "size",
                    "size must be 'auto' or WIDTHxHEIGHT such as 1024x768, got"
                        + " \(JSONValue.string(text).summary).")
            }
            width = size.width
            height = size.height
        }
        width = try Self.int(fields.integer("width")) ?? width
        height = try Self.int(fields.integer("height")) ?? height
        steps = try Self.int(fields.integer("num_inference_steps", "steps", "step"))
        guidanceScale = try Self.guidance(fields)
        cfgNormalization = try fields.number("cfg_normalization")
        cfgTruncation = try fields.number("cfg_truncation")
        seed = try fields.seed("seed")
        sampling = try SamplingMethod(fields)
        try readSeeds(fields)
        secondPass = try SecondPass.Draft(fields)
    }

    /// `guidance_scale` is the pipeline's own g; a `cfg_scale` is g + 1, and 1 or less is off.
    private static func guidance(_ fields: RequestFields) throws(APIError) -> Double? {
        if let own = try fields.number("guidance_scale") { return own }
        return try fields.number("cfg_scale", "true_cfg_scale").map { max(0, $0 - 1) }
    }

    private static func int(_ value: Int64?) -> Int? {
        value.map { Int(clamping: $0) }
    }
}
