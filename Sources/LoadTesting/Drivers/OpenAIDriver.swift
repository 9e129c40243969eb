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
    var controlModel: String?
    var controlType: String?
    var controlStrength: Double?
    /// Base64.
    var controlImage: String?
    /// The image to start from in base64; jobs only.
    var image: String?
    /// The mask in base64; jobs only.
    var mask: String?
    var strength: Double?

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
        controlModel = parameters.control?.model
        controlType = parameters.control?.type
        controlStrength = parameters.control?.scale
    }

    private enum CodingKeys: String, CodingKey {
        case model, prompt, size, n, seed, lora, stream, image, mask, strength
        case controlModel = "control_model"
        case controlType = "control_type"
        case controlStrength = "control_strength"
        case controlImage = "control_image"
        case negativePrompt = "negative_prompt"
        case numInferenceSteps = "num_inference_steps"
        case guidanceScale = "guidance_scale"
        case responseFormat = "response_format"
        case outputFormat = "output_format"
        case partialImages = "partial_images"
    }

    /// The call of a request: JSON to `generations`, or a form to `edits` with a source image.
    func call(_ request: DriverRequest, readsEvents: Bool = false) -> HTTPCall {
        var body = self
        body.controlImage = request.inputs.control.map(Self.base64)
        guard let source = request.parameters.source else {
            return HTTPCall(
                path: "/v1/images/generations", id: request.id, body: Self.json(body),
                readsEvents: readsEvents)
        }
        var form = MultipartBody()
        form.add("image", file: request.inputs.source)
        form.add("mask", file: request.inputs.mask)
        body.addFields(to: &form)
        form.add("strength", "\(source.strength)")
        return HTTPCall(
            path: "/v1/images/edits", id: request.id, form: form, readsEvents: readsEvents)
    }

    /// Adds the fields of a form.
    private func addFields(to form: inout MultipartBody) {
        form.add("prompt", prompt)
        form.add("model", model)
        form.add("negative_prompt", negativePrompt)
        form.add("size", size)
        form.add("n", "\(n)")
        form.add("seed", "\(seed)")
        form.add("num_inference_steps", "\(numInferenceSteps)")
        form.add("guidance_scale", "\(guidanceScale)")
        form.add("response_format", responseFormat)
        form.add("output_format", outputFormat)
        form.add("stream", stream.map { "\($0)" })
        form.add("partial_images", partialImages.map { "\($0)" })
        form.add("lora", lora.map { String(decoding: Self.json($0), as: UTF8.self) })
        form.add("control_model", controlModel)
        form.add("control_type", controlType)
        form.add("control_strength", controlStrength.map { "\($0)" })
        form.add("control_image", controlImage)
    }

    static func base64(_ file: [UInt8]) -> String { Data(file).base64EncodedString() }

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

    func generate(_ request: DriverRequest) async -> DriverOutcome {
        let call = OpenAIBody(request.parameters, model: model).call(request)
        return await Self.finish(http.perform(call), call, request.parameters)
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
