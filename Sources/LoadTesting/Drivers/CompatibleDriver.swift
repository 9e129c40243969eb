// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Servers whose image routes have OpenAI's paths and fields of their own.
///
/// - Source: `ImageGenerationsRequest` and `edits` of sgl-project/sglang (`multimodal_gen`),
///   `docs/serving/image_generation_api.md` and `image_edit_api.md` of vllm-project/vllm-omni,
///   `docs/content/features/image-generation.md` of mudler/LocalAI.
struct CompatibleDriver: Driver {
    /// The form of a server.
    enum Form: Sendable {
        case sglang
        case vllmOmni
        case localAI
    }

    private struct Body: Encodable {
        var model: String?
        var prompt: String
        var negative_prompt: String?
        var n = 1
        var size: String
        var seed: UInt32
        var response_format = "b64_json"
        var num_inference_steps: Int?
        var guidance_scale: Double?
        var output_format: String?
        /// Steps, as LocalAI calls them.
        var step: Int?
        /// LocalAI's source image in base64.
        var file: String?
    }

    /// The time of the work, which SGLang-Diffusion reports.
    private struct Timing: Decodable { var inference_time_s: Double? }

    let http: LoadClient
    let model: String?
    let form: Form

    func generate(_ request: DriverRequest) async -> DriverOutcome {
        let call = call(request)
        let exchange = await http.perform(call)
        var outcome = OpenAIDriver.finish(exchange, call, request.parameters)
        if outcome.server == nil,
            let seconds = CutJSON(exchange.body).decode(Timing.self)?.inference_time_s
        {
            outcome.server = ServerTimings(run: seconds)
        }
        return outcome
    }

    private func call(_ request: DriverRequest) -> HTTPCall {
        let parameters = request.parameters
        var body = Body(
            model: model, prompt: parameters.prompt, negative_prompt: parameters.negativePrompt,
            size: parameters.size, seed: parameters.seed)
        switch form {
        case .localAI:
            body.step = parameters.steps
            body.file = request.inputs.source.map(OpenAIBody.base64)
        case .sglang, .vllmOmni:
            body.num_inference_steps = parameters.steps
            body.guidance_scale = parameters.guidance
            if form == .sglang { body.output_format = parameters.format }
            if parameters.source != nil { return edit(request, body) }
        }
        return HTTPCall(
            path: "/v1/images/generations", id: request.id, body: OpenAIBody.json(body))
    }

    private func edit(_ request: DriverRequest, _ body: Body) -> HTTPCall {
        var parts = MultipartBody()
        parts.add("image", file: request.inputs.source)
        // White where the image is generated again, in both forms.
        parts.add(form == .sglang ? "mask" : "mask_image", file: request.inputs.mask)
        parts.add("prompt", body.prompt)
        parts.add("model", body.model)
        parts.add("negative_prompt", body.negative_prompt)
        parts.add("n", "1")
        parts.add("size", body.size)
        parts.add("seed", "\(body.seed)")
        parts.add("response_format", body.response_format)
        parts.add("output_format", request.parameters.format)
        parts.add("num_inference_steps", body.num_inference_steps.map { "\($0)" })
        parts.add("guidance_scale", body.guidance_scale.map { "\($0)" })
        return HTTPCall(path: "/v1/images/edits", id: request.id, form: parts)
    }
}
