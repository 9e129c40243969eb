// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The body of `POST /v1/images/generations`, with the extension fields common to image servers.
struct OpenAIBody: Encodable {
    struct LoRA: Encodable {
        var name: String
        var scale: Double
    }

    var model: String?
    var prompt: String
    var negativePrompt: String?
    var size: String
    var n = 1
    var seed: UInt32
    var numInferenceSteps: Int
    var guidanceScale: Double
    var lora: LoRA?
    var responseFormat: String? = "b64_json"
    var outputFormat: String
    var stream: Bool?
    var partialImages: Int?

    init(_ parameters: RequestParameters, model: String?) {
        self.model = model
        prompt = parameters.prompt
        negativePrompt = parameters.negativePrompt
        size = parameters.size
        seed = parameters.seed
        numInferenceSteps = parameters.steps
        guidanceScale = parameters.guidance
        lora = parameters.lora.map { LoRA(name: $0, scale: parameters.loraScale ?? 1) }
        outputFormat = parameters.format
    }

    private enum CodingKeys: String, CodingKey {
        case model, prompt, size, n, seed, lora, stream
        case negativePrompt = "negative_prompt"
        case numInferenceSteps = "num_inference_steps"
        case guidanceScale = "guidance_scale"
        case responseFormat = "response_format"
        case outputFormat = "output_format"
        case partialImages = "partial_images"
    }

    /// Compact JSON.
    static func json(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings, numbers and booleans can always be written.
        return (try? encoder.encode(value)).map { [UInt8]($0) } ?? []
    }
}

/// The fields of a response that are read; all are optional, since servers differ.
struct OpenAIResponse: Decodable {
    struct Image: Decodable {
        var b64_json: String?
        var timings: Seconds?
    }

    struct Seconds: Decodable {
        var text: Double?
        var steps: [Double]?
        var decode: Double?
        var total: Double?
        var queued: Double?
    }

    var data: [Image]?
    var timings: Seconds?

    /// The timings that the server reports; `nil` without any.
    var server: ServerTimings? {
        let image = data?.first?.timings
        guard image != nil || timings != nil else { return nil }
        return ServerTimings(
            queue: timings?.queued, text: image?.text, steps: image?.steps,
            decode: image?.decode, run: image?.total, total: timings?.total)
    }
}

/// `POST /v1/images/generations`, one response.
struct OpenAIDriver: Driver {
    let http: LoadClient
    let model: String?

    func generate(_ parameters: RequestParameters, id: String, isAlone: Bool) async -> DriverOutcome
    {
        let call = HTTPCall(
            path: "/v1/images/generations", id: id,
            body: OpenAIBody.json(OpenAIBody(parameters, model: model)))
        return await Self.finish(http.perform(call), call, parameters)
    }

    /// Reads the response, which is the same for Xinference.
    static func finish(
        _ exchange: Exchange, _ call: HTTPCall, _ parameters: RequestParameters
    ) -> DriverOutcome {
        var outcome = DriverOutcome(exchange, call)
        guard outcome.error == nil else { return outcome }
        let json = CutJSON(exchange.body)
        guard let response = json.decode(OpenAIResponse.self),
            let text = response.data?.first?.b64_json
        else {
            outcome.fail(
                .decode,
                "the response has no data[0].b64_json: "
                    + String(decoding: json.document.prefix(300), as: UTF8.self))
            return outcome
        }
        outcome.server = response.server
        outcome.finish(with: ImageBytes(text: json.text(text)), at: exchange.end, parameters)
        return outcome
    }
}
