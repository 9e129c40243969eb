// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Imaging
import ModelFiles
import Parameters
import Telemetry

/// A request that has been read and checked, ready for the engine.
struct ImageCall {
    /// The checked request.
    let request: ImageRequest
    /// The model that generates its images.
    let model: ModelDescription

    /// A request that is checked for a model already.
    init(request: ImageRequest, model: ModelDescription) {
        self.request = request
        self.model = model
    }

    /// Strength of image-to-image without a mask, if the client does not send one.
    static let standardStrength = 0.6

    /// Chooses the model and applies its defaults and limits.
    ///
    /// - Throws: `APIError` 404 for an unknown model, 503 when none is loaded, 400 for a field.
    init(
        _ fields: RequestFields, source: RGBImage? = nil, mask: RGBImage? = nil,
        models: [ModelDescription], loras: LoRARegistry = LoRARegistry(), retryAfter: Int
    ) throws(APIError) {
        let id = try fields.string("model")
        guard let standard = models.first else { throw .loading(retryAfter: retryAfter) }
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
            request = try ImageRequest(draft, for: model)
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
    /// The request as the access log has it, before anything is known of its times.
    var logEntry: AccessLogEntry.Generation {
        .init(
            model: model.id, images: request.count, steps: request.steps,
            width: request.size.width, height: request.size.height)
    }
}
