// Part of Inkstone. Licence: see LICENSE.

import Engine
import Parameters

/// The images of every verification, so that reports of different machines can be compared.
enum VerificationPrompts {
    /// The fixed prompts; image *i* has the seed *i* + 1.
    static let all = [
        "a red apple on a blue background",
        "黄色背景上的熊猫",
        "photo of a mountain lake at sunset, golden light, 4k",
        "一只猫坐在红色的椅子上，窗外下着雪。",
    ]

    /// Sizes of the images.
    static let sizes = [
        PixelSize(width: 256, height: 256), PixelSize(width: 1024, height: 1024),
    ]

    /// The request for an image.
    ///
    /// - Throws: `RequestError` for a size or a number of steps that the model does not allow.
    static func request(
        _ index: Int, size: PixelSize, steps: Int?, of model: ModelDescription
    ) throws(RequestError) -> ImageRequest {
        var draft = SamplingParameters.Draft(prompt: all[index])
        draft.width = size.width
        draft.height = size.height
        draft.steps = steps
        draft.seed = UInt64(index + 1)
        return try ImageRequest(ImageRequest.Draft(draft), for: model)
    }
}
