// Part of Inkstone. Licence: see LICENSE.

import Imaging
import ModelFiles
import Parameters

/// Output options of the OpenAI dialect.
struct OutputOptions {
    /// Where the image is.
    enum Delivery: String, CaseIterable {
        /// In the answer, as base64.
        case base64 = "b64_json"
        /// At a URL of this service.
        case url
    }

    /// Quality of lossy formats where a request has none.
    static let defaultQuality = 95

    /// In the answer or at a URL; the schema's default is the URL.
    let delivery: Delivery
    /// The file format.
    let format: ImageFormat
    /// Quality of lossy formats, 1 to 100.
    let quality: Int
    /// Whether events are streamed instead of one answer.
    let streams: Bool
    /// Partial images of a stream before each final one.
    let partialImages: Int
    /// What the request asks for and this server does not do, in words; nothing of it was refused.
    let warnings: [String]

    /// The quality that an address of an image has to name; `nil` where it makes no difference.
    var linkQuality: Int? {
        format != .png && quality != Self.defaultQuality ? quality : nil
    }

    /// - Throws: `APIError` 400 that names a field with a wrong type or value.
    init(_ fields: RequestFields) throws(APIError) {
        let delivery = try fields.choice(
            "response_format", of: Delivery.allCases.map(\.rawValue))
        self.delivery = delivery.flatMap(Delivery.init) ?? .url
        let format = try fields.choice(
            "output_format", of: ImageFormat.allCases.map(\.rawValue) + ["jpg"])
        self.format = format.flatMap { ImageFormat(fileExtension: $0) } ?? .png
        let quality = try fields.integer("output_compression") ?? Int64(Self.defaultQuality)
        guard (0...100).contains(quality) else {
            throw .invalid(
                "output_compression",
                "output_compression must be between 0 and 100, got \(quality).")
        }
        self.quality = max(1, Int(quality))
        streams = try fields.bool("stream") ?? false
        let partialImages = try fields.integer("partial_images") ?? 0
        guard (0...3).contains(partialImages) else {
            throw .invalid(
                "partial_images", "partial_images must be between 0 and 3, got \(partialImages).")
        }
        self.partialImages = Int(partialImages)
        if try fields.choice("background", of: ["transparent", "opaque", "auto"]) == "transparent" {
            throw .invalid(
                "background",
                "background 'transparent' is not possible: this model generates opaque images; use"
                    + " 'opaque' or 'auto'.")
        }
        warnings = try Self.warnings(fields)
    }

    /// What changes nothing here, of the fields that OpenAI documents.
    private static func warnings(_ fields: RequestFields) throws(APIError) -> [String] {
        var warnings: [String] = []
        if try fields.choice("moderation", of: ["low", "auto"]) != nil {
            warnings.append(
                "moderation is not done: this server checks neither prompts nor images.")
        }
        if case .string(let quality)? = fields.first("quality")?.value,
            !JSONValue.string(quality).isWord(["", "auto", "standard"])
        {
            warnings.append(
                "quality \(JSONValue.string(quality).summary) changes nothing here: send num_inference_steps for"
                    + " more or fewer steps.")
        }
        if try fields.choice("style", of: ["vivid", "natural"]) != nil {
            warnings.append("style changes nothing here: describe it in the prompt.")
        }
        return warnings
    }

    /// The warnings of a request, with that about a seed whose noise another one has as well.
    func warnings(of parameters: SamplingParameters) -> [String] {
        let short = UInt64(UInt32(truncatingIfNeeded: parameters.seed))
        guard short != parameters.seed else { return warnings }
        return warnings + [
            "seed \(parameters.seed) makes the same images as seed \(short): torch's generator, which draws the noise,"
                + " has seeds of 32 bits."
        ]
    }
}
