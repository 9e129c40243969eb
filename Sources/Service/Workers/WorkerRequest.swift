// Part of Inkstone. Licence: see LICENSE.

import Engine
import Imaging

/// A request on its way to a worker: every field of it, and the sizes of its source picture and of
/// that one's mask, whose pixels are the frame's payload, one after the other.
struct WorkerRequest: Codable, Equatable {
    /// The picture to start from, without its pixels.
    struct Source: Codable, Equatable {
        var width: Int
        var height: Int
        var strength: Double
        /// Size of the mask, where there is one.
        var mask: PixelSize?
    }

    /// The pixels that go with a request.
    static func pixels(of request: ImageRequest) -> [UInt8] {
        (request.source?.image.pixels ?? []) + (request.source?.mask?.pixels ?? [])
    }

    var prompt: String
    var negativePrompt: String
    var width: Int
    var height: Int
    var steps: Int
    var guidanceScale: Double
    var cfgNormalization: Double
    var cfgTruncation: Double
    var seed: UInt64
    var count: Int
    var source: Source?
    var loras: [LoRAChoice]
    var priority: Priority

    /// All of a request without its first pictures, which were delivered.
    init(_ request: ImageRequest, droppingFirst dropped: Int = 0) {
        prompt = request.prompt
        negativePrompt = request.negativePrompt
        (width, height) = (request.size.width, request.size.height)
        steps = request.steps
        guidanceScale = request.guidanceScale
        cfgNormalization = request.cfgNormalization
        cfgTruncation = request.cfgTruncation
        // Picture i is drawn from seed + i.
        seed = request.seed &+ UInt64(dropped)
        count = request.count - dropped
        source = request.source.map {
            Source(
                width: $0.image.width, height: $0.image.height, strength: $0.strength,
                mask: $0.mask.map { PixelSize(width: $0.width, height: $0.height) })
        }
        loras = request.loras
        priority = request.priority
    }

    /// The request that it was, checked again.
    ///
    /// - Throws: `RequestError`, `ImagingError`.
    func request(pixels: [UInt8], for model: ModelDescription) throws -> ImageRequest {
        guard let seed = Int64(exactly: seed) else {
            throw RequestError(
                field: "seed", message: "seed must be at most \(Int64.max), got \(seed).")
        }
        var draft = ImageRequest.Draft(prompt: prompt)
        draft.negativePrompt = negativePrompt
        (draft.width, draft.height) = (width, height)
        draft.steps = steps
        draft.guidanceScale = guidanceScale
        draft.cfgNormalization = cfgNormalization
        draft.cfgTruncation = cfgTruncation
        draft.seed = seed
        draft.count = count
        draft.loras = loras
        draft.priority = priority
        draft.source = try source.map { source in
            // Each picture checks that it got as many as it needs.
            let own = source.mask.map { max(0, pixels.count - 3 * $0.width * $0.height) }
            let count = own ?? pixels.count
            return ImageRequest.Source(
                image: try RGBImage(
                    width: source.width, height: source.height, pixels: Array(pixels[..<count])),
                strength: source.strength,
                mask: try source.mask.map {
                    try RGBImage(
                        width: $0.width, height: $0.height, pixels: Array(pixels[count...]))
                })
        }
        return try ImageRequest(draft, for: model)
    }
}
