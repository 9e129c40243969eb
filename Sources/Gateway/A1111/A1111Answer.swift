// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Parameters

/// The answer of `txt2img` and `img2img`.
struct A1111Answer: Encodable {
    /// Files in base64, without the head of a data URL.
    var images: [String]
    /// The request as it was read.
    var parameters: Parameters
    /// `Info` as JSON inside a string, as clients expect it.
    var info: String

    struct Parameters: Encodable {
        var prompt: String
        var negativePrompt: String
        var seed: UInt64
        var steps: Int
        var cfgScale: Double
        var width: Int
        var height: Int
        var batchSize: Int
        var nIter = 1
        var samplerName: String
        var scheduler: String
        var denoisingStrength: Double?

        private enum CodingKeys: String, CodingKey {
            case prompt, seed, steps, width, height, scheduler
            case negativePrompt = "negative_prompt"
            case cfgScale = "cfg_scale"
            case batchSize = "batch_size"
            case nIter = "n_iter"
            case samplerName = "sampler_name"
            case denoisingStrength = "denoising_strength"
        }
    }

    /// Generation parameters of the images.
    struct Info: Encodable {
        var prompt: String
        var allPrompts: [String]
        var negativePrompt: String
        var allNegativePrompts: [String]
        var seed: UInt64
        var allSeeds: [UInt64]
        var subseed: UInt64
        var allSubseeds: [UInt64]
        var subseedStrength: Double
        var width: Int
        var height: Int
        var samplerName: String
        var cfgScale: Double
        var steps: Int
        var batchSize: Int
        var modelName: String
        var modelHash = ""
        var denoisingStrength: Double?
        var extraGenerationParams: [String: String] = [:]
        var indexOfFirstImage = 0
        var infotexts: [String]
        var styles: [String] = []
        var jobTimestamp: String
        var clipSkip = 1
        var version: String
        /// Device, kernels and precision of each image; absent if one of them is not known.
        var allOrigins: [ImageOrigin]?

        private enum CodingKeys: String, CodingKey {
            case prompt, seed, subseed, width, height, steps, infotexts, styles, version
            case allPrompts = "all_prompts"
            case negativePrompt = "negative_prompt"
            case allNegativePrompts = "all_negative_prompts"
            case allSeeds = "all_seeds"
            case allSubseeds = "all_subseeds"
            case subseedStrength = "subseed_strength"
            case samplerName = "sampler_name"
            case cfgScale = "cfg_scale"
            case batchSize = "batch_size"
            case modelName = "sd_model_name"
            case modelHash = "sd_model_hash"
            case denoisingStrength = "denoising_strength"
            case extraGenerationParams = "extra_generation_params"
            case indexOfFirstImage = "index_of_first_image"
            case jobTimestamp = "job_timestamp"
            case clipSkip = "clip_skip"
            case allOrigins = "all_origins"
        }
    }

    init(
        _ call: ImageCall, _ images: [GeneratedImage], files: [[UInt8]], remarks: [String: String],
        version: String
    ) {
        let request = call.request
        let negative = request.guidanceScale > 0 ? request.negativePrompt : ""
        let scale = GenerationParameters.cfgScale(guidance: request.guidanceScale)
        let strength = request.strength
        self.images = files.map { Data($0).base64EncodedString() }
        parameters = Parameters(
            prompt: request.prompt, negativePrompt: negative, seed: request.seed,
            steps: request.steps, cfgScale: scale, width: request.size.width,
            height: request.size.height, batchSize: request.count,
            samplerName: request.sampling.sampler.label,
            scheduler: request.sampling.schedule.label, denoisingStrength: strength)
        let subseeds = images.map { image in
            request.parameters.image(at: image.index).seeds.variation?.seed ?? image.seed
        }
        let info = Info(
            prompt: request.prompt, allPrompts: images.map { _ in request.prompt },
            negativePrompt: negative, allNegativePrompts: images.map { _ in negative },
            seed: request.seed, allSeeds: images.map(\.seed),
            subseed: subseeds.first ?? request.seed,
            allSubseeds: subseeds, subseedStrength: request.seeds.variation?.strength ?? 0,
            width: request.size.width,
            height: request.size.height, samplerName: request.sampling.sampler.label,
            cfgScale: scale, steps: request.steps, batchSize: request.count,
            modelName: call.model.id, denoisingStrength: strength,
            extraGenerationParams: Self.warnings(images).merging(remarks) { $1 },
            infotexts: images.map {
                $0.parametersText(of: request, model: call.model)
            },
            jobTimestamp: Self.timestamp(Date()), version: "Inkstone \(version)",
            allOrigins: Self.origins(images))
        self.info = String(decoding: jsonBytes(info), as: UTF8.self)
    }

    private static func origins(_ images: [GeneratedImage]) -> [ImageOrigin]? {
        let known = images.compactMap(\.origin)
        return known.count == images.count ? known : nil
    }

    private static func warnings(_ images: [GeneratedImage]) -> [String: String] {
        let warnings = (images.first?.loras ?? []).compactMap(\.warning)
        return warnings.isEmpty ? [:] : ["Lora warnings": warnings.joined(separator: " ")]
    }

    /// `20261125174500`, in UTC.
    static func timestamp(_ date: Date) -> String {
        date.formatted(.iso8601).filter(\.isNumber)
    }
}
