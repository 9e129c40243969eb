// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Hummingbird
import Imaging
import ModelFiles
import Parameters
import Service

/// `POST /sdapi/v1/txt2img` and `img2img`.
extension A1111Controller {
    @Sendable
    func generate(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.readBody(upTo: requests.limits.uploadBytes)
        let fields = try RequestFields(json: body, dialect: .pydantic)
        let options = state.options(of: context.owner)
        let wanted = try await wanted(
            fields, options, isImageToImage: request.uri.path.hasSuffix("img2img"))
        var submission = try Submission(request, body: body, fields, context)
        if let id = try fields.string("force_task_id"), !id.isEmpty { submission.requestID = id }
        let sendsImages = try fields.bool("send_images") ?? true
        let images =
            wanted.isUnchanged
            ? try await unchanged(wanted, context)
            : try await made(wanted, submission, context)
        let shown = wanted.shown
        let format = Self.format(options)
        let files =
            sendsImages
            ? try await WorkThreads.images.run {
                try images.map { try shown.file(for: $0, as: format, quality: 95) }
            } : []
        return .json(
            A1111Answer(shown, images, files: files, remarks: wanted.remarks, version: version))
    }

    /// What a call asks for.
    private func wanted(
        _ fields: RequestFields, _ options: [String: JSONValue], isImageToImage: Bool
    ) async throws -> A1111Wanted {
        var draft = try ImageRequest.Draft(
            a1111: fields, registry: requests.loras, isImageToImage: isImageToImage)
        if case .bool(let embeds)? = options["enable_pnginfo"] {
            draft.embedsParameters = draft.embedsParameters ?? embeds
        }
        draft.embedsParameters = draft.embedsParameters ?? requests.embedsParameters
        let model = try await model(fields, options)
        let image = isImageToImage ? try await initialImage(fields) : nil
        let size = try A1111Size(&draft, image: image, model)
        var isUnchanged = false
        if let image {
            draft.strength = try fields.number("denoising_strength") ?? 0.75
            // Nothing is sampled then; the other fields are checked all the same.
            isUnchanged = draft.strength == 0
            draft.parameters.raiseStrength(for: model, isUnchanged: isUnchanged)
            draft.source = try await source(image, fields, draft, size)
        }
        let call = try await requests.imageCall(
            try ImageRequest(draft, for: model), for: model,
            controls: try await reader.decoded(A1111Controls.units(fields, requests.controlNets)),
            shown: size.first)
        return A1111Wanted(call: call, size: size, isUnchanged: isUnchanged)
    }

    /// Makes the images of a call, in the size that it asks for.
    private func made(
        _ wanted: A1111Wanted, _ submission: Submission, _ context: GatewayContext
    ) async throws -> [GeneratedImage] {
        let task = state.begin(submission.requestID ?? context.requestID, of: context.owner)
        defer { state.end(task, of: context.owner) }
        let images = try await context.cancellingOnDisconnect {
            try await requests.images(
                of: wanted.call, submission, context,
                onAccept: { job in
                    guard state.accept(task, of: context.owner, as: job.id) else { return }
                    Task { await requests.jobs.cancel(job.id, for: context.access) }
                })
        }
        let size = wanted.size.output
        return try await WorkThreads.images.run { try images.map { try $0.cropped(to: size) } }
    }

    /// The images of a call without noise: the one that it starts from, in the size that it asks for.
    private func unchanged(
        _ wanted: A1111Wanted, _ context: GatewayContext
    ) async throws -> [GeneratedImage] {
        let request = wanted.call.submit()
        guard let source = request.source else { return [] }
        let onEnd = try await requests.count(request, context)
        defer { onEnd() }
        let size = wanted.size.output
        return try await WorkThreads.images.run {
            let image = try GeneratedImage(
                index: 0, seed: request.seed, image: source.image, pixelDigest: "",
                promptTruncated: false, seconds: Timings(text: 0, steps: [], decode: 0, total: 0)
            ).cropped(to: size)
            return (0..<request.count).map { index in
                var copy = image
                copy.index = index
                copy.seed = request.parameters.image(at: index).seed
                return copy
            }
        }
    }

    /// The model of `override_settings`, the settings, or the default.
    private func model(
        _ fields: RequestFields, _ options: [String: JSONValue]
    ) async throws(APIError) -> ModelDescription {
        let models = await requests.models
        guard let standard = models.first else { throw .loading(retryAfter: requests.retryAfter) }
        guard !requests.state.isDraining else { throw .draining(retryAfter: requests.retryAfter) }
        var name: String?
        if case .object(let settings)? = fields.first("override_settings")?.value {
            name = try fields.part(settings).string("sd_model_checkpoint")
        }
        if name == nil, case .string(let text)? = options["sd_model_checkpoint"] {
            name = text
        }
        guard let name, !name.isEmpty else { return standard }
        guard let model = models.first(where: { $0.id == name || $0.name == name }) else {
            throw .noSuchModel(name, known: models.map(\.id))
        }
        return model
    }

    /// The image that `img2img` starts from.
    private func initialImage(_ fields: RequestFields) async throws(APIError) -> DecodedImage {
        guard case .array(let images)? = fields.first("init_images")?.value,
            case .string(let text)? = images.first
        else {
            throw APIError(
                .notFound, code: "missing_required_parameter", parameter: "init_images",
                "init_images is required: an array with one image file in base64.")
        }
        guard images.count == 1 else {
            throw .invalid(
                "init_images",
                "init_images must have one image: this model starts from one, got"
                    + " \(images.count).")
        }
        return try await reader.image(base64: text, field: "init_images")
    }

    private func source(
        _ image: DecodedImage, _ fields: RequestFields, _ draft: ImageRequest.Draft,
        _ size: A1111Size
    ) async throws -> ImageRequest.Source {
        let mode = try fields.integer("resize_mode") ?? 0
        let source = ImageRequest.Source(
            image: try A1111Source.fit(image, size.first, mode: mode),
            mask: try await mask(fields, size.first, mode: mode))
        guard size.isCropped else { return source }
        // The pixels that are cropped later continue the image.
        return try await WorkThreads.resizing.run {
            try source.resized(to: size.first).extended(to: size.made)
        }
    }

    /// The mask: white where the image is generated again, or black with `inpainting_mask_invert`.
    ///
    /// Of a file with transparency the opaque part counts, whatever its colours, as in that server.
    private func mask(
        _ fields: RequestFields, _ size: PixelSize, mode: Int64
    ) async throws(APIError) -> RGBImage? {
        guard let text = try fields.text("mask"), !text.isEmpty else { return nil }
        let mask = try A1111Source.fit(
            try await reader.image(base64: text, field: "mask").binaryOpacity, size, mode: mode)
        guard try fields.integer("inpainting_mask_invert") ?? 0 != 0 else { return mask }
        do {
            return try RGBImage(
                width: mask.width, height: mask.height, pixels: mask.pixels.map { 255 - $0 })
        } catch { throw .invalid("mask", error.description) }
    }

    /// The format that the settings name.
    private static func format(_ options: [String: JSONValue]) -> ImageFormat {
        guard case .string(let text)? = options["samples_format"] else { return .png }
        return ImageFormat(fileExtension: text) ?? .png
    }
}
