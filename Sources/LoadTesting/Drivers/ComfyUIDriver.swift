// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// ComfyUI: `POST /prompt` with a workflow, then polling of `/history/ID`, then the image from `/view`.
///
/// The end of the work is known to the interval of the polling. Source images and masks are uploaded before the
/// request's time begins, since a person's editor has done so too.
struct ComfyUIDriver: Driver {
    /// Interval of the polling, and so the resolution of the times.
    static let pollInterval = Duration.milliseconds(25)

    private struct Queued: Decodable { var prompt_id: String }

    private struct History: Decodable {
        struct Output: Decodable { var images: [File]? }

        struct Status: Decodable { var status_str: String? }

        var outputs: [String: Output]?
        var status: Status?
    }

    private struct File: Decodable {
        var filename: String
        var subfolder: String?
        var type: String?

        /// The path of the image with its query.
        var path: String {
            var parts = URLComponents()
            parts.path = "/view"
            parts.queryItems = [
                URLQueryItem(name: "filename", value: filename),
                URLQueryItem(name: "subfolder", value: subfolder ?? ""),
                URLQueryItem(name: "type", value: type ?? "output"),
            ]
            return parts.string ?? "/view"
        }
    }

    private struct Uploaded: Decodable { var name: String }

    let http: LoadClient
    let workflow: ComfyUIWorkflow

    func generate(_ request: DriverRequest) async -> DriverOutcome {
        let names: (source: String?, mask: String?)
        switch await upload(request) {
        case .success(let files): names = files
        case .failure(let failure): return failure.outcome
        }
        let nodes = workflow.nodes(request.parameters, source: names.source, mask: names.mask)
        let body = try? JSONSerialization.data(
            withJSONObject: ["prompt": nodes, "client_id": request.id], options: .sortedKeys)
        let submit = HTTPCall(path: "/prompt", id: request.id, body: [UInt8](body ?? Data()))
        let submitted = await http.perform(submit)
        var outcome = DriverOutcome(submitted, submit)
        guard outcome.error == nil else { return outcome }
        guard let job = CutJSON(submitted.body).decode(Queued.self) else {
            outcome.fail(.decode, "the response of /prompt has no prompt_id")
            return outcome
        }
        guard let file = await file(of: job.prompt_id, request.id, &outcome) else { return outcome }
        let view = HTTPCall(method: .get, path: file.path, id: request.id + "-image")
        let image = await http.perform(view)
        outcome.add(image, view)
        if outcome.error == nil {
            outcome.finish(with: .file(image.body), at: image.end, request.parameters)
        }
        return outcome
    }

    /// Polls until the history has the image; a failure is part of the outcome.
    private func file(
        of job: String, _ id: String, _ outcome: inout DriverOutcome
    ) async -> File? {
        var number = 0
        while true {
            try? await Task.sleep(for: Self.pollInterval)
            number += 1
            // Polls are not calls of the request: the audit does not look for them in the log.
            let call = HTTPCall(method: .get, path: "/history/\(job)", id: "poll-\(id)-\(number)")
            let exchange = await http.perform(call)
            outcome.bodyBytes += exchange.bodyBytes
            guard exchange.failure == nil, exchange.status == 200 else {
                outcome.times.end = exchange.end
                outcome.check(exchange)
                return nil
            }
            let entry = CutJSON(exchange.body).decode([String: History].self)?[job]
            if entry?.status?.status_str == "error" {
                outcome.times.end = exchange.end
                outcome.fail(.eventError, "the workflow ended with an error")
                return nil
            }
            if let file = entry?.outputs?.values.compactMap({ $0.images?.first }).first {
                return file
            }
            if let end = exchange.end, Double(end - outcome.times.send) / 1e9 > http.timeoutSeconds
            {
                outcome.fail(.timeoutTotal, "no image after \(http.timeoutSeconds) s")
                outcome.times.end = end
                return nil
            }
        }
    }

    /// The failure of an upload.
    private struct UploadFailure: Error { var outcome: DriverOutcome }

    /// Uploads the source image and the mask; returns their names at the server.
    private func upload(
        _ request: DriverRequest
    ) async -> Result<(source: String?, mask: String?), UploadFailure> {
        var names: [String?] = []
        for (kind, file) in [("source", request.inputs.source), ("mask", request.inputs.mask)] {
            guard let file else {
                names.append(nil)
                continue
            }
            var form = MultipartBody()
            form.add("image", file: file, named: "\(request.id)-\(kind).png")
            form.add("type", "input")
            form.add("overwrite", "true")
            let call = HTTPCall(
                path: "/upload/image", id: "upload-\(request.id)-\(kind)", form: form)
            let exchange = await http.perform(call)
            var outcome = DriverOutcome(exchange, call)
            guard outcome.error == nil,
                let name = CutJSON(exchange.body).decode(Uploaded.self)?.name
            else {
                outcome.fail(.decode, "the response of /upload/image has no name")
                outcome.calls = []
                return .failure(UploadFailure(outcome: outcome))
            }
            names.append(name)
        }
        return .success((names[0], names[1]))
    }
}
