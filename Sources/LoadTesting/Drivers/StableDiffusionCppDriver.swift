// Part of Inkstone. Licence: see LICENSE.

/// stable-diffusion.cpp's server: `POST /sdapi/v1/txt2img` or `img2img`.
///
/// What that route has no field for is sent as JSON in the prompt, between `<sd_cpp_extra_args>` and its end. The
/// route is synchronous, unlike the server's own, which would be polled.
///
/// - Source: `examples/server/api.md` of leejet/stable-diffusion.cpp.
struct StableDiffusionCppDriver: Driver {
    private struct Body: Encodable {
        var prompt: String
        var negative_prompt: String?
        var width: Int
        var height: Int
        var steps: Int
        var cfg_scale: Double
        var seed: UInt32
        var batch_size = 1
        var init_images: [String]?
        var mask: String?
        var denoising_strength: Double?
    }

    /// Fields of the server's own route.
    private struct Arguments: Encodable {
        struct LoRA: Encodable {
            var path: String
            var multiplier: Double
        }

        var lora: [LoRA]?
        var control_image: String?
        var control_strength: Double?
    }

    let http: LoadClient

    func generate(_ request: DriverRequest) async -> DriverOutcome {
        let parameters = request.parameters
        let path = parameters.source == nil ? "/sdapi/v1/txt2img" : "/sdapi/v1/img2img"
        let call = HTTPCall(path: path, id: request.id, body: OpenAIBody.json(body(request)))
        return await A1111Driver.finish(http.perform(call), call, parameters)
    }

    private func body(_ request: DriverRequest) -> Body {
        let parameters = request.parameters
        var body = Body(
            prompt: parameters.prompt, negative_prompt: parameters.negativePrompt,
            width: parameters.width, height: parameters.height, steps: parameters.steps,
            cfg_scale: parameters.guidance + 1, seed: parameters.seed)
        body.init_images = request.inputs.source.map { [OpenAIBody.base64($0)] }
        body.mask = request.inputs.mask.map(OpenAIBody.base64)
        body.denoising_strength = parameters.source?.strength
        var arguments = Arguments()
        arguments.lora = parameters.lora.map {
            [Arguments.LoRA(path: $0, multiplier: parameters.loraScale ?? 1)]
        }
        arguments.control_image = request.inputs.control.map(OpenAIBody.base64)
        arguments.control_strength = parameters.control?.scale
        if arguments.lora != nil || arguments.control_image != nil {
            let text = String(decoding: OpenAIBody.json(arguments), as: UTF8.self)
            body.prompt += " <sd_cpp_extra_args>\(text)</sd_cpp_extra_args>"
        }
        return body
    }
}
