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
        var request_id: String
    }

    let http: LoadClient
    let model: String?

    func generate(_ parameters: RequestParameters, id: String, isAlone: Bool) async -> DriverOutcome
    {
        let arguments = Arguments(
            seed: parameters.seed, num_inference_steps: parameters.steps,
            guidance_scale: parameters.guidance, negative_prompt: parameters.negativePrompt,
            request_id: id)
        let body = Body(
            model: model, prompt: parameters.prompt,
            size: "\(parameters.width)*\(parameters.height)",
            kwargs: String(decoding: OpenAIBody.json(arguments), as: UTF8.self))
        let call = HTTPCall(
            path: "/v1/images/generations", id: id, body: OpenAIBody.json(body))
        return await OpenAIDriver.finish(http.perform(call), call, parameters)
    }
}
