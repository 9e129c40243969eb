// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Imaging
import ModelFiles
import Parameters
import Service
import Telemetry

/// A request that has been read and checked, ready for the engine.
struct ImageCall {
    /// The checked request, without the pixels that it starts from.
    let request: ImageRequest
    /// The model that generates its images.
    let model: ModelDescription
    /// The pixels that it starts from, until the call is submitted.
    private let source: Handover<ImageRequest.Source>?

    /// A request that is checked for a model already.
    init(request: ImageRequest, model: ModelDescription) {
        self.request = request.with(source: nil)
        self.model = model
        source = request.source.map(Handover.init)
    }

    /// Strength of image-to-image without a mask, if the client does not send one.
    static let standardStrength = 0.6

    /// Chooses the model and applies its defaults and limits.
    ///
    /// - Throws: `APIError` 404 for an unknown model, 503 when none is loaded, 400 for a field.
    init(
        _ fields: RequestFields, source: RGBImage? = nil, mask: RGBImage? = nil,
        models: [ModelDescription], loras: LoRARegistry = LoRARegistry(),
        embedsParameters: Bool = true, retryAfter: Int
    ) throws(APIError) {
        let id = try fields.string("model")
        guard let standard = models.first else { throw .loading(retryAfter: retryAfter) }
        let model: ModelDescription
        if let id, !id.isEmpty {
            guard let named = models.first(where: { $0.id == id }) else {
                throw .noSuchModel(id, known: models.map(\.id))
            }
            model = named
        } else {
            model = standard
        }
        do {
            var draft = try ImageRequest.Draft(fields)
            if let source {
                draft.source = .init(image: source, mask: mask)
                draft.strength =
                    try fields.number("strength", "denoising_strength")
                    ?? (mask == nil ? Self.standardStrength : 1)
                let size = PixelSize(fitting: source, in: model.limits)
                draft.width = draft.width ?? size.width
                draft.height = draft.height ?? size.height
            }
            draft.loras = try fields.loras(of: loras)
            draft.embedsParameters = draft.embedsParameters ?? embedsParameters
            self.init(request: try ImageRequest(draft, for: model), model: model)
        } catch let error as RequestError {
            var names = ImageRequest.Draft.clientNames
            // A client that wrote `count` or `width` should read that name in the error.
            if fields.first("n") == nil, fields.first("count") != nil { names["count"] = nil }
            if fields.first("width") != nil { names["width"] = nil }
            if fields.first("height") != nil { names["height"] = nil }
            throw APIError(error, names: names)
        } catch let error as APIError {
            throw error
        } catch {
            throw .invalid(nil, "The request cannot be read: \(error).")
        }
    }
}

extension ImageCall {
    /// The request with the pixels that it starts from, for the submission: the call has them no longer.
    func submit() -> ImageRequest { request.with(source: source?.take()) }

    /// Returns the call with its source image and mask in the size of its images.
    ///
    /// A photograph is many times larger than what the engine makes of it, which is the same pixels.
    ///
    /// - Throws: `ImagingError`.
    func resizingSource() async throws -> ImageCall {
        guard let source = source?.take() else { return self }
        // A second pass keeps what the mask keeps in its own size.
        let later = source.mask == nil ? nil : request.secondPass?.size
        let size = PixelSize(
            width: max(request.size.width, later?.width ?? 0),
            height: max(request.size.height, later?.height ?? 0))
        let resized = try await WorkThreads.resizing.run { try source.resized(to: size) }
        return ImageCall(request: request.with(source: resized), model: model)
    }

    /// The request as the access log has it, before anything is known of its times.
    var logEntry: AccessLogEntry.Generation {
        .init(
            model: model.id, images: request.count, steps: request.steps,
            width: request.parameters.outputSize.width,
            height: request.parameters.outputSize.height)
    }
}
