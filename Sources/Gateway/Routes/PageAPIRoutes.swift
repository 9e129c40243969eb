// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Hummingbird
import Imaging
import NIOCore
import Parameters
import Service

// The page's own interface, free to change with the page:
//
// GET  /api/models    the ModelDescription of every model, the default one first
// POST /api/generate  the JSON fields of the OpenAI dialect; answers with server-sent events
//                     queued {position}, started {}, step {image, step, steps, seconds},
//                     preview {image, step, url}, image {...}, and done {} or error {error}

/// What `image` says: a PNG file and how it came about.
private struct ImageData: Encodable {
    var image: Int
    var base64: String
    var width: Int
    var height: Int
    var steps: Int
    var guidanceScale: Double
    var seed: UInt64
    var model: String
    var parameters: String
    var promptTruncated: Bool
    var seconds: Double
    var loras: [LoRANote]
}

extension Gateway {
    /// The routes in the comment above.
    func addPageAPIRoutes(to router: Router<GatewayContext>) {
        router.endpoint("/api/models", [.get: { _, _ in .json(await generator.models) }])
        router.endpoint(
            "/api/generate",
            [
                .post: { request, context in
                    var request = request
                    let body = try await request.readBody(upTo: configuration.maximumBodyBytes)
                    let fields = try RequestFields(json: body)
                    let call = try await imageCall(fields)
                    let submission = try submission(request, body, fields, context)
                    return try await EventStream.response(
                        to: request,
                        events: try await events(of: call, submission, context),
                        keepAlive: configuration.keepAliveInterval,
                        translate: { try pageFrame($0, call) },
                        fail: { error in
                            let known = ErrorMiddleware.describe(
                                error, retryAfter: generator.retryAfter, context: context)
                            return EventStream.frame("error", known.body)
                        },
                        end: EventStream.frame("done", NoData()))
                }
            ])
    }

    /// An event in the page's words.
    private func pageFrame(_ event: JobEvent, _ call: ImageCall) throws -> ByteBuffer? {
        guard case .image(let image) = event else { return try EventStream.progress(event) }
        let file = try file(for: image, of: call, as: .png, 95)
        return EventStream.frame(
            "image",
            ImageData(
                image: image.index, base64: Data(file).base64EncodedString(),
                width: image.image.width, height: image.image.height,
                steps: call.request.steps, guidanceScale: call.request.guidanceScale,
                seed: image.seed, model: call.model.id,
                parameters: image.parametersText(of: call.request, model: call.model),
                promptTruncated: image.promptTruncated, seconds: image.seconds.total,
                loras: image.loras))
    }
}
