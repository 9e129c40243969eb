// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Imaging
import NIOCore
import Parameters
import Service
import Synchronization

/// The images API of OpenAI, which Xinference's clients use as well.
struct OpenAIController: Controller {
    let requests: RequestService
    let reader: ImageReader
    /// Addresses for clients that want a URL.
    let links: ImageLinks
    /// Silence after which an event stream sends a comment.
    let keepAlive: Duration

    /// `POST /v1/images/generations`, and the routes of edits.
    func addRoutes(to table: inout RouteTable) {
        table.add("/v1/images/generations", [.post: .key(generateImages)])
        for path in ["edits", "variations", "inpainting"] {
            table.add("/v1/images/\(path)", [.post: .key(editImage)])
        }
    }

    @Sendable
    private func generateImages(
        _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        let arrival = ContinuousClock.now
        let body = try await request.readBody(upTo: requests.limits.bodyBytes)
        let fields = try RequestFields(json: body)
        try fields.refuse(UnsupportedField.sources)
        let call = try await requests.imageCall(
            fields,
            controls: try await reader.decoded(fields.controls(of: requests.controlNets)))
        return try await answer(
            call, try OutputOptions(fields),
            try Submission(request, body: body, fields, context), request, context, since: arrival)
    }

    /// Runs a call and answers in the format of the dialect, in one body or as events.
    func answer(
        _ call: ImageCall, _ output: OutputOptions, _ submission: Submission, _ request: Request,
        _ context: GatewayContext, since arrival: ContinuousClock.Instant
    ) async throws -> Response {
        if output.streams {
            return try await stream(call, output, submission, request, context)
        }
        return .json(
            try await context.cancellingOnDisconnect {
                try await collect(call, output, submission, context, since: arrival)
            })
    }

    /// Runs a call to its end and returns all of its images.
    private func collect(
        _ call: ImageCall, _ output: OutputOptions, _ submission: Submission,
        _ context: GatewayContext, since arrival: ContinuousClock.Instant
    ) async throws -> ImagesAnswer {
        var begin: ContinuousClock.Instant?
        let job = Mutex("")
        let generated = try await requests.images(
            of: call, submission, context, onStart: { begin = begin ?? .now },
            onAccept: { accepted in job.withLock { $0 = accepted.id } })
        var images = generated.map { Self.answer($0) }
        switch output.delivery {
        case .base64:
            let files = try await WorkThreads.images.run {
                try generated.map { image in
                    Data(try call.file(for: image, as: output.format, quality: output.quality))
                        .base64EncodedString()
                }
            }
            for (index, file) in files.enumerated() { images[index].b64JSON = file }
        case .url:
            let id = job.withLock(\.self)
            for (index, image) in generated.enumerated() {
                let name = ImageName(job: id, index: image.index, format: output.format)
                images[index].url =
                    context.address.base
                    + links.address(of: name, quality: output.linkQuality, for: context.key)
            }
        }
        let now = ContinuousClock.now
        return ImagesAnswer(
            created: Int(Date().timeIntervalSince1970),
            data: images,
            outputFormat: output.format.rawValue,
            size: call.request.parameters.outputSize.description,
            model: call.model.id,
            timings: .init(
                queued: ((begin ?? now) - arrival) / .seconds(1),
                total: (now - arrival) / .seconds(1)),
            warnings: output.warnings(of: call.request.parameters).nonEmpty)
    }

    /// An image as the answer has it, before its bytes or its URL.
    private static func answer(_ image: GeneratedImage) -> ImagesAnswer.Image {
        ImagesAnswer.Image(
            seed: image.seed, steps: image.seconds.steps.count, pixelSHA256: image.pixelDigest,
            promptTruncated: image.promptTruncated ? true : nil,
            timings: .init(image.seconds), loras: image.loras.isEmpty ? nil : image.loras,
            origin: image.origin)
    }

    // MARK: Streaming

    /// Answers with the dialect's events: partial images if requested, then each image.
    private func stream(
        _ call: ImageCall, _ output: OutputOptions, _ submission: Submission, _ request: Request,
        _ context: GatewayContext
    ) async throws -> Response {
        let partials = PartialImages(
            count: output.partialImages, steps: call.request.evaluations)
        return try await EventStream.response(
            to: context,
            events: try await requests.events(of: call, submission, context),
            previews: .picked { partials.picks(image: $0, step: $1) },
            keepAlive: keepAlive,
            translate: { event in
                let kind = call.request.strength == nil ? "image_generation" : "image_edit"
                var frame = ImageEvent(
                    type: kind + ".completed", b64JSON: "",
                    createdAt: Int(Date().timeIntervalSince1970),
                    size: call.request.parameters.outputSize.description,
                    outputFormat: output.format.rawValue, index: 0)
                switch event {
                case .preview(let index, let step, let image):
                    frame.type = kind + ".partial_image"
                    frame.partialImageIndex = partials.index(image: index, step: step)
                    frame.index = index
                    // Clients draw partial images over each other, so that all have the final size.
                    let size = call.request.size
                    let file = try ImageFile.encode(
                        image.resized(width: size.width, height: size.height),
                        as: output.format, quality: output.quality)
                    frame.b64JSON = Data(file).base64EncodedString()
                case .image(let image):
                    let file = try call.file(
                        for: image, as: output.format, quality: output.quality)
                    frame.b64JSON = Data(file).base64EncodedString()
                    frame.index = image.index
                    frame.seed = image.seed
                    frame.steps = image.seconds.steps.count
                    frame.model = call.model.id
                    frame.pixelSHA256 = image.pixelDigest
                    frame.timings = .init(image.seconds)
                    frame.loras = image.loras.isEmpty ? nil : image.loras
                    frame.warnings = output.warnings(of: call.request.parameters).nonEmpty
                    frame.origin = image.origin
                case .queued, .started, .step:
                    return nil
                }
                return EventStream.frame(frame.type, frame)
            },
            fail: { error in
                let known = ErrorMiddleware.describe(
                    error, retryAfter: requests.retryAfter, context: context)
                return EventStream.frame("error", ErrorEvent(error: known.body.error))
            })
    }
}
