// Part of Inkstone. Licence: see LICENSE.

import Imaging

/// How the OpenAI dialect wants its pictures delivered.
struct OutputOptions {
    /// Where the picture is.
    enum Delivery: String, CaseIterable {
        /// In the answer, as base64.
        case base64 = "b64_json"
        /// At an address of this service.
        case url
    }

    /// In the answer or at an address; the schema's default is the address.
    let delivery: Delivery
    /// The file format.
    let format: ImageFormat
    /// Quality of lossy formats, 1 to 100.
    let quality: Int
    /// Whether events are streamed instead of one answer.
    let streams: Bool
    /// Pictures to send before the last one, while streaming.
    let partialImages: Int

    /// - Throws: `APIError` 400 that names a field with a wrong type or value.
    init(_ fields: RequestFields) throws(APIError) {
        let delivery = try fields.choice(
            "response_format", of: Delivery.allCases.map(\.rawValue))
        self.delivery = delivery.flatMap(Delivery.init) ?? .url
        let format = try fields.choice(
            "output_format", of: ImageFormat.allCases.map(\.rawValue) + ["jpg"])
        self.format = format.flatMap { ImageFormat(fileExtension: $0) } ?? .png
        let quality = try fields.integer("output_compression") ?? 95
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
        if try fields.string("background") == "transparent" {
            throw .invalid(
                "background",
                "background 'transparent' is not possible: this model draws opaque pictures; use"
                    + " 'opaque' or 'auto'.")
        }
    }
}
