// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// `POST /api/jobs`, then its events, then the image.
struct JobsDriver: Driver {
    private struct Job: Decodable { var id: String }

    private struct Preview: Decodable { var url: String? }

    private struct Image: Decodable {
        var url: String
        var seconds: Double?
    }

    private struct Failure: Decodable {
        struct Details: Decodable { var message: String? }
        var error: Details?
    }

    let http: LoadClient
    let model: String?

    func generate(_ request: DriverRequest) async -> DriverOutcome {
        let (parameters, id) = (request.parameters, request.id)
        var body = OpenAIBody(parameters, model: model)
        body.responseFormat = nil
        body.image = request.inputs.source.map(OpenAIBody.base64)
        body.mask = request.inputs.mask.map(OpenAIBody.base64)
        body.strength = parameters.source?.strength
        body.controlImage = request.inputs.control.map(OpenAIBody.base64)
        let submit = HTTPCall(path: "/api/jobs", id: id, body: OpenAIBody.json(body))
        let submitted = await http.perform(submit)
        var outcome = DriverOutcome(submitted, submit)
        guard outcome.error == nil else { return outcome }
        guard let job = CutJSON(submitted.body).decode(Job.self) else {
            outcome.fail(.decode, "the response of /api/jobs has no id")
            return outcome
        }
        let watch = HTTPCall(
            method: .get, path: "/api/jobs/\(job.id)/events", id: id + "-events",
            readsEvents: true)
        let events = await http.perform(watch)
        outcome.add(events, watch)
        let image = read(events, parameters, &outcome)
        guard outcome.error == nil else { return outcome }
        guard let image else {
            outcome.fail(.streamBroken, "the job's events ended without an image")
            return outcome
        }
        outcome.server = image.seconds.map { ServerTimings(run: $0) }
        let extra = parameters.format == "png" ? "" : "?format=\(parameters.format)"
        let load = HTTPCall(method: .get, path: image.url + extra, id: id + "-image")
        let file = await http.perform(load)
        outcome.add(file, load)
        if outcome.error == nil {
            outcome.finish(with: .file(file.body), at: file.end, parameters)
        }
        return outcome
    }

    /// Records the previews and returns the event of the image.
    private func read(
        _ events: Exchange, _ parameters: RequestParameters, _ outcome: inout DriverOutcome
    ) -> Image? {
        var image: Image?
        for event in events.events {
            let json = CutJSON(event.data)
            switch event.name {
            case "preview":
                if let url = json.decode(Preview.self)?.url,
                    ImageBytes(text: json.text(url)).header != nil
                {
                    outcome.times.previews.append(event.time)
                }
            case "image": image = json.decode(Image.self) ?? image
            case "error":
                outcome.fail(
                    .eventError,
                    json.decode(Failure.self)?.error?.message ?? "an event named error")
            default: break
            }
        }
        return image
    }
}
