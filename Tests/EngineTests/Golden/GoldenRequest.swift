// Part of Inkstone. Licence: see LICENSE.

import Engine
import Imaging
import Parameters

/// A request whose pixels are recorded, in terms that do not depend on the engine's own types.
struct GoldenRequest: Sendable {
    /// Name in the fixture.
    var name: String
    var prompt = "a red apple"
    var negativePrompt = ""
    var width = 128
    var height = 128
    var steps = 2
    var guidance = 0.0
    var normalization = 0.0
    var truncation = 1.0
    var seed: UInt64 = 7
    var count = 1
    /// Name and scale of each LoRA file.
    var loras: [(name: String, scale: Double)] = []
    /// Width and height of the source image, and its strength; `nil` is text to image.
    var source: (width: Int, height: Int, strength: Double)?
    /// Width and height of the mask; `nil` without one.
    var mask: (width: Int, height: Int)?
    /// Whether the slow portable kernels run this one too.
    var isPortable = false

    /// The draft of an engine's request.
    func draft() throws -> ImageRequest.Draft {
        var draft = ImageRequest.Draft(prompt: prompt)
        draft.negativePrompt = negativePrompt
        draft.width = width
        draft.height = height
        draft.steps = steps
        draft.guidanceScale = guidance
        draft.cfgNormalization = normalization
        draft.cfgTruncation = truncation
        draft.seed = seed
        draft.count = count
        draft.loras = loras.map { LoRAScale($0.name, scale: $0.scale) }
        if let source {
            draft.source = ImageRequest.Source(
                image: try Self.gradient(source.width, source.height),
                mask: try mask.map { try Self.disc($0.width, $0.height) })
            draft.strength = source.strength
        }
        return draft
    }

    /// Colours that differ in every row and column.
    private static func gradient(_ width: Int, _ height: Int) throws -> RGBImage {
        var pixels: [UInt8] = []
        for row in 0..<height {
            for column in 0..<width {
                pixels += [
                    UInt8(row * 255 / height), UInt8(column * 255 / width),
                    UInt8(truncatingIfNeeded: row &* 7 ^ column &* 3),
                ]
            }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }

    /// A white disc on black.
    private static func disc(_ width: Int, _ height: Int) throws -> RGBImage {
        var pixels: [UInt8] = []
        for row in 0..<height {
            for column in 0..<width {
                let (x, y) = (2 * column - width, 2 * row - height)
                let isInside = x * x + y * y < width * height / 2
                pixels += Array(repeating: isInside ? 255 : 0, count: 3)
            }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }

    /// Twenty requests; each is run in every precision.
    static let all: [GoldenRequest] = [
        GoldenRequest(name: "plain", steps: 4, isPortable: true),
        GoldenRequest(name: "chinese", prompt: "一个红苹果", steps: 3, seed: 42),
        GoldenRequest(name: "large", prompt: "a slice of pizza", width: 192, height: 192),
        GoldenRequest(name: "wide", prompt: "一只狗", width: 192, height: 128, seed: 3),
        GoldenRequest(
            name: "tall", prompt: "", width: 96, height: 160, steps: 1, seed: 4_294_967_303,
            isPortable: true),
        GoldenRequest(name: "guided", guidance: 3),
        GoldenRequest(
            name: "guided-chinese", prompt: "一颗蓝色的心", negativePrompt: "红色, blurry", steps: 3,
            guidance: 4.5),
        GoldenRequest(name: "normalized", guidance: 3, normalization: 1),
        GoldenRequest(
            name: "truncated", steps: 4, guidance: 3, truncation: 0.5, isPortable: true),
        GoldenRequest(
            name: "normalized-truncated", prompt: "猫", negativePrompt: "dog", width: 192,
            height: 192, steps: 3, guidance: 5, normalization: 0.5, truncation: 0.7),
        GoldenRequest(name: "lora", loras: [("pixel", 1)]),
        GoldenRequest(name: "lora-half", prompt: "一只猫", loras: [("sketch", 0.5)]),
        GoldenRequest(
            name: "lora-stack", steps: 1, loras: [("pixel", 0.8), ("sketch", -0.5)],
            isPortable: true),
        GoldenRequest(name: "lora-negative", prompt: "a key", loras: [("pixel", -1)]),
        GoldenRequest(
            name: "lora-guided", prompt: "a car", negativePrompt: "plain", steps: 3, guidance: 3,
            loras: [("sketch", 1.5), ("pixel", 0)]),
        GoldenRequest(name: "image-to-image", steps: 4, source: (128, 128, 0.6)),
        GoldenRequest(
            name: "image-to-image-guided", prompt: "绿色的叶子", steps: 4, guidance: 2,
            source: (100, 75, 0.5)),
        GoldenRequest(
            name: "mask", prompt: "a smiling face", source: (128, 128, 1), mask: (128, 128)),
        GoldenRequest(
            name: "mask-lora", prompt: "a tree", steps: 4, loras: [("pixel", 0.7)],
            source: (160, 160, 0.5), mask: (40, 64), isPortable: true),
        GoldenRequest(
            name: "four", prompt: "a house by the sea, 一座海边的房子", steps: 1, guidance: 2, seed: 100,
            count: 4, loras: [("sketch", 0.9)]),
    ]
}
