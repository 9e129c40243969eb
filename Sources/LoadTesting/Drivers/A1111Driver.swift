// Part of Inkstone. Licence: see LICENSE.

/// `POST /sdapi/v1/txt2img` or `img2img`, and while it runs `GET /sdapi/v1/progress`.
///
/// The progress has no request id, so previews are only recorded for a request that is alone: with
/// several users they could belong to any request.
struct A1111Driver: Driver {
    /// Interval of the polling, and so the resolution of the preview times.
    static let pollInterval = Duration.milliseconds(25)

    private struct Body: Encodable {
        var prompt: String
        var negative_prompt: String?
        var width: Int
        var height: Int
        var steps: Int
        var cfg_scale: Double
        var seed: UInt32
        var sampler_name = "Euler"
        var batch_size = 1
        var n_iter = 1
        var send_images = true
        var save_images = false
        var init_images: [String]?
        var mask: String?
        var denoising_strength: Double?
        var alwayson_scripts: Scripts?
    }

    /// The units of the ControlNet extension.
    private struct Scripts: Encodable {
        struct ControlNet: Encodable { var args: [Unit] }

        struct Unit: Encodable {
            var enabled = true
            var image: String
            var module: String
            var model: String
            var weight: Double
            var pixel_perfect = true
        }

        var controlnet: ControlNet
    }

    private struct Response: Decodable { var images: [String]? }

    private struct Progress: Decodable { var current_image: String? }

    let http: LoadClient

    func generate(_ request: DriverRequest) async -> DriverOutcome {
        let (parameters, id) = (request.parameters, request.id)
        let path = parameters.source == nil ? "/sdapi/v1/txt2img" : "/sdapi/v1/img2img"
        let call = HTTPCall(path: path, id: id, body: OpenAIBody.json(body(request)))
        let wantsPreviews = request.isAlone && parameters.partialImages > 0
        let watcher = Task {
            wantsPreviews ? await watch(id, atMost: parameters.partialImages) : []
        }
        let exchange = await http.perform(call)
        watcher.cancel()
        var outcome = Self.finish(exchange, call, parameters)
        outcome.times.previews = await watcher.value.filter { $0 < exchange.end ?? .max }
        return outcome
    }

    /// Reads the response, which is the same for stable-diffusion.cpp.
    static func finish(
        _ exchange: Exchange, _ call: HTTPCall, _ parameters: RequestParameters
    ) -> DriverOutcome {
        var outcome = DriverOutcome(exchange, call)
        guard outcome.error == nil else { return outcome }
        let json = CutJSON(exchange.body)
        guard let text = json.decode(Response.self)?.images?.first else {
            outcome.fail(
                .decode,
                "the response has no images[0]: "
                    + String(decoding: json.document.prefix(300), as: UTF8.self))
            return outcome
        }
        outcome.finish(with: ImageBytes(text: json.text(text)), at: exchange.end, parameters)
        return outcome
    }

    private func body(_ request: DriverRequest) -> Body {
        let parameters = request.parameters
        var prompt = parameters.prompt
        if let lora = parameters.lora { prompt += " <lora:\(lora):\(parameters.loraScale ?? 1)>" }
        var body = Body(
            prompt: prompt, negative_prompt: parameters.negativePrompt, width: parameters.width,
            height: parameters.height, steps: parameters.steps, cfg_scale: parameters.guidance + 1,
            seed: parameters.seed)
        body.init_images = request.inputs.source.map { [OpenAIBody.base64($0)] }
        body.mask = request.inputs.mask.map(OpenAIBody.base64)
        body.denoising_strength = parameters.source?.strength
        if let control = parameters.control, let image = request.inputs.control {
            let unit = Scripts.Unit(
                image: OpenAIBody.base64(image), module: control.type, model: control.model,
                weight: control.scale)
            body.alwayson_scripts = Scripts(controlnet: .init(args: [unit]))
        }
        return body
    }

    /// Polls the progress; returns the times at which a new preview appeared.
    private func watch(_ id: String, atMost count: Int) async -> [Int64] {
        var last: [UInt8]?
        var times: [Int64] = []
        var number = 0
        while !Task.isCancelled, times.count < count {
            try? await Task.sleep(for: Self.pollInterval)
            number += 1
            // Polls are not calls of the request: the audit does not look for them in the log.
            let call = HTTPCall(
                method: .get, path: "/sdapi/v1/progress", id: "poll-\(id)-\(number)")
            let exchange = await http.perform(call)
            let json = CutJSON(exchange.body)
            guard let text = json.decode(Progress.self)?.current_image, let end = exchange.end
            else { continue }
            let image = json.text(text)
            if image != last, ImageBytes(text: image).header != nil {
                last = image
                times.append(end)
            }
        }
        return times
    }
}
