// Part of Inkstone. Licence: see LICENSE.

/// `POST /v1/images/generations` as Xinference's client sends it.
struct XinferenceDriver: Driver {
    private struct Body: Encodable {
        var model: String?
        var prompt: String
        var n = 1
        var size: String
        var response_format = "b64_json"
        /// JSON text inside a JSON string.
        var kwargs: String
    }

    private struct Arguments: Encodable {
        var seed: UInt32
        var num_inference_steps: Int
        var guidance_scale: Double
        var negative_prompt: String?
        var strength: Double?
        var request_id: String
    }

    let http: LoadClient
    let model: String?

    func generate(_ request: DriverRequest) async -> DriverOutcome {
        let parameters = request.parameters
        let call = call(request)
        return await OpenAIDriver.finish(http.perform(call), call, parameters)
    }

    /// JSON to `generations`, or a form to `variations` or `inpainting` with a source image.
    private func call(_ request: DriverRequest) -> HTTPCall {
        let parameters = request.parameters
        let size = "\(parameters.width)*\(parameters.height)"
        let arguments = Arguments(
            seed: parameters.seed, num_inference_steps: parameters.steps,
            guidance_scale: parameters.guidance, negative_prompt: parameters.negativePrompt,
            strength: parameters.source?.strength, request_id: request.id)
        let text = String(decoding: OpenAIBody.json(arguments), as: UTF8.self)
        guard let source = parameters.source else {
            let body = Body(model: model, prompt: parameters.prompt, size: size, kwargs: text)
            return HTTPCall(
                path: "/v1/images/generations", id: request.id, body: OpenAIBody.json(body))
        }
        var form = MultipartBody()
        form.add("image", file: request.inputs.source)
        form.add("mask_image", file: request.inputs.mask)
        form.add("model", model)
        form.add("prompt", parameters.prompt)
        form.add("n", "1")
        form.add("size", size)
        form.add("response_format", "b64_json")
        form.add("kwargs", text)
        return HTTPCall(
            path: source.mask == nil ? "/v1/images/variations" : "/v1/images/inpainting",
            id: request.id, form: form)
    }
}
