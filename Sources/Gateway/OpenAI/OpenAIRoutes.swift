// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Imaging
import NIOCore
import Parameters
import Service

extension Gateway {
    /// `POST /v1/images/generations` and the files that its URLs point to.
    func addOpenAIRoutes(to router: Router<GatewayContext>) {
        router.endpoint("/v1/images/generations", [.post: generateImages])
        router.endpoint(
            "/v1/images/files/:name",
            [
                .get: { _, context in
                    let name = context.parameters.get("name") ?? ""
                    var found = files.file(name: name)
                    if found == nil { found = try await storedFile(name) }
                    guard let file = found else {
                        throw APIError(
                            .notFound, code: "file_not_found",
                            "There is no such picture, or newer ones have displaced it; ask for"
                                + " response_format b64_json to get pictures in the answer.")
                    }
                    var response = Response.bytes(file.bytes, type: file.type)
                    response.headers[.cacheControl] = "private, max-age=3600, immutable"
                    return response
                }
            ])
    }

    @Sendable
    private func generateImages(
        _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        let arrival = ContinuousClock.now
        var request = request
        let body = try await request.readBody(upTo: configuration.maximumBodyBytes)
        let fields = try RequestFields(json: body)
        let call = try await imageCall(fields)
        return try await answer(
            call, try OutputOptions(fields), try submission(request, body, fields, context),
            request,
            context, since: arrival)
    }

    /// Runs a call and answers in the dialect's words, at once or as events.
    func answer(
        _ call: ImageCall, _ output: OutputOptions, _ submission: Submission, _ request: Request,
        _ context: GatewayContext, since arrival: ContinuousClock.Instant
    ) async throws -> Response {
        if output.streams {
            return try await stream(call, output, submission, request, context)
        }
        let base = publicAddress(of: request)
        let answer = try await request.body.consumeWithCancellationOnInboundClose { _ in
            try await collect(call, output, submission, context, since: arrival, base: base)
        }
        var response = Response.json(answer)
        // Watching for the client's departure used up the inbound side of the connection.
        response.headers[.connection] = "close"
        return response
    }

    /// A picture of the job store, for an address that outlives what is kept in memory.
    private func storedFile(_ name: String) async throws -> ImageFileStore.File? {
        guard name.hasSuffix(".png"),
            let bytes = try await jobs.file(named: String(name.dropLast(4)))
        else { return nil }
        return .init(bytes: bytes, type: ImageFormat.png.mimeType)
    }

    /// Runs a call to its end.
    private func collect(
        _ call: ImageCall, _ output: OutputOptions, _ submission: Submission,
        _ context: GatewayContext, since arrival: ContinuousClock.Instant, base: String
    ) async throws -> ImagesAnswer {
        var begin: ContinuousClock.Instant?
        let pictures = try await pictures(of: call, submission, context) {
            begin = begin ?? .now
        }.map { image in
            picture(
                image, try file(for: image, of: call, as: output.format, output.quality), output,
                base: base)
        }
        let now = ContinuousClock.now
        return ImagesAnswer(
            created: Int(Date().timeIntervalSince1970),
            data: pictures,
            outputFormat: output.format.rawValue,
            size: call.request.size.description,
            model: call.model.id,
            timings: .init(
                queued: ((begin ?? now) - arrival) / .seconds(1),
                total: (now - arrival) / .seconds(1)))
    }

    private func picture(
        _ image: GeneratedImage, _ file: [UInt8], _ output: OutputOptions, base: String
    ) -> ImagesAnswer.Picture {
        var picture = ImagesAnswer.Picture(
            seed: image.seed, steps: image.seconds.steps.count, pixelSHA256: image.pixelDigest,
            promptTruncated: image.promptTruncated ? true : nil,
            timings: .init(image.seconds), loras: image.loras.isEmpty ? nil : image.loras)
        switch output.delivery {
        case .base64:
            picture.b64JSON = Data(file).base64EncodedString()
        case .url:
            let name = SHA256.hexadecimal(file) + "." + output.format.rawValue
            files.store(.init(bytes: file, type: output.format.mimeType), name: name)
            picture.url = base + "/v1/images/files/" + name
        }
        return picture
    }

    /// The address under which the client reached this service.
    private func publicAddress(of request: Request) -> String {
        let scheme = request.headers[.xForwardedProto] == "https" ? "https" : "http"
        let authority = request.head.authority.flatMap { HostName($0) == nil ? nil : $0 }
        return scheme + "://" + (authority ?? "127.0.0.1:\(configuration.port)")
    }

    // MARK: Streaming

    /// Answers with the dialect's events: partial pictures when asked for, then each picture.
    private func stream(
        _ call: ImageCall, _ output: OutputOptions, _ submission: Submission, _ request: Request,
        _ context: GatewayContext
    ) async throws -> Response {
        let partials = PartialImages(
            count: output.partialImages, steps: call.request.steps)
        return try await EventStream.response(
            to: request,
            events: try await events(of: call, submission, context),
            previews: .picked { partials.picks(image: $0, step: $1) },
            keepAlive: configuration.keepAliveInterval,
            translate: { event in
                let kind = call.request.source == nil ? "image_generation" : "image_edit"
                var frame = ImageEvent(
                    type: kind + ".completed", b64JSON: "",
                    createdAt: Int(Date().timeIntervalSince1970),
                    size: call.request.size.description,
                    outputFormat: output.format.rawValue, index: 0)
                switch event {
                case .preview(let index, let step, let image):
                    frame.type = kind + ".partial_image"
                    frame.partialImageIndex = partials.index(image: index, step: step)
                    frame.index = index
                    // Clients lay partial pictures over each other: all have the final size.
                    let size = call.request.size
                    let file = try PictureFile.encode(
                        image.resized(width: size.width, height: size.height),
                        as: output.format, quality: output.quality)
                    frame.b64JSON = Data(file).base64EncodedString()
                case .image(let image):
                    let file = try file(for: image, of: call, as: output.format, output.quality)
                    frame.b64JSON = Data(file).base64EncodedString()
                    frame.index = image.index
                    frame.seed = image.seed
                    frame.steps = image.seconds.steps.count
                    frame.model = call.model.id
                    frame.pixelSHA256 = image.pixelDigest
                    frame.timings = .init(image.seconds)
                    frame.loras = image.loras.isEmpty ? nil : image.loras
                case .queued, .started, .step:
                    return nil
                }
                return EventStream.frame(frame.type, frame)
            },
            fail: { error in
                let known = ErrorMiddleware.describe(
                    error, retryAfter: generator.retryAfter, context: context)
                return EventStream.frame("error", ErrorEvent(error: known.body.error))
            })
    }
}
