// Part of Inkstone. Licence: see LICENSE.

/// `POST /v1/images/generations` with `stream: true`: partial images, then the image.
struct OpenAIStreamDriver: Driver {
    /// The fields of an event that are read.
    private struct Event: Decodable {
        struct Failure: Decodable { var message: String? }

        var type: String?
        var b64_json: String?
        var timings: OpenAIResponse.Seconds?
        var error: Failure?
    }

    let http: LoadClient
    let model: String?

    func generate(_ request: DriverRequest) async -> DriverOutcome {
        let parameters = request.parameters
        var body = OpenAIBody(parameters, model: model)
        body.responseFormat = nil
        body.stream = true
        body.partialImages = parameters.partialImages
        let call = body.call(request, readsEvents: true)
        let exchange = await http.perform(call)
        var outcome = DriverOutcome(exchange, call)
        for stamped in exchange.events {
            let json = CutJSON(stamped.data)
            guard let event = json.decode(Event.self) else { continue }
            if let failure = event.error {
                outcome.fail(.eventError, failure.message ?? "an event of type error")
            } else if event.type?.hasSuffix(".partial_image") == true {
                // Only an event with pixels counts as a preview.
                if let text = event.b64_json, ImageBytes(text: json.text(text)).header != nil {
                    outcome.times.previews.append(stamped.time)
                }
            } else if event.type?.hasSuffix(".completed") == true, let text = event.b64_json {
                outcome.finish(
                    with: ImageBytes(text: json.text(text)), at: stamped.time, parameters)
                outcome.server = event.timings.map {
                    ServerTimings(
                        text: $0.text, steps: $0.steps, decode: $0.decode, run: $0.total)
                }
            }
        }
        if outcome.error == nil, outcome.image == nil {
            outcome.fail(.streamBroken, "the stream ended without a completed image")
        }
        return outcome
    }
}
