// Part of Inkstone. Licence: see LICENSE.

import Engine

/// The answer to a generation request that is not streamed.
struct ImagesAnswer: Encodable {
    /// One image.
    struct Image: Encodable {
        var b64JSON: String?
        var url: String?
        var seed: UInt64
        var steps: Int
        /// SHA-256 of the pixels, independent of the file format.
        var pixelSHA256: String
        var promptTruncated: Bool?
        var timings: Seconds
        /// Reports of the LoRA files; absent without any.
        var loras: [LoRANote]?
        /// Device, kernels and precision; absent for images of version 0.1.
        var origin: ImageOrigin?

        private enum CodingKeys: String, CodingKey {
            case url, seed, steps, timings, loras, origin
            case b64JSON = "b64_json"
            case pixelSHA256 = "pixel_sha256"
            case promptTruncated = "prompt_truncated"
        }
    }

    /// Duration of each stage of an image, in seconds.
    struct Seconds: Encodable {
        var text: Double
        var steps: [Double]
        var decode: Double
        var total: Double

        init(_ timings: Timings) {
            text = timings.text
            steps = timings.steps
            decode = timings.decode
            total = timings.total
        }
    }

    /// Durations of the request, in seconds.
    struct RequestSeconds: Encodable {
        /// Until work began.
        var queued: Double
        /// From arrival to answer.
        var total: Double
    }

    var created: Int
    var data: [Image]
    var background = "opaque"
    var outputFormat: String
    var size: String
    var model: String
    var timings: RequestSeconds
    /// What the request asks for and was not done; absent if there is nothing.
    var warnings: [String]?

    private enum CodingKeys: String, CodingKey {
        case created, data, background, size, model, timings, warnings
        case outputFormat = "output_format"
    }
}

extension [String] {
    /// The list, or `nil` if it is empty, for a field that is absent then.
    var nonEmpty: [String]? { isEmpty ? nil : self }
}

/// One event of a streamed generation request.
struct ImageEvent: Encodable {
    var type: String
    var b64JSON: String
    var partialImageIndex: Int?
    var createdAt: Int
    var size: String
    var quality = "auto"
    var background = "opaque"
    var outputFormat: String
    /// Index of the image within the request; the dialect itself has no field for it.
    var index: Int
    var seed: UInt64?
    var steps: Int?
    var model: String?
    var pixelSHA256: String?
    var timings: ImagesAnswer.Seconds?
    var loras: [LoRANote]?
    var warnings: [String]?
    var origin: ImageOrigin?

    private enum CodingKeys: String, CodingKey {
        case warnings
        case type, size, quality, background, index, seed, steps, model, timings, loras, origin
        case pixelSHA256 = "pixel_sha256"
        case b64JSON = "b64_json"
        case partialImageIndex = "partial_image_index"
        case createdAt = "created_at"
        case outputFormat = "output_format"
    }
}

/// The frame that ends a stream after a failure.
struct ErrorEvent: Encodable {
    var type = "error"
    var error: ErrorBody.Details
}
