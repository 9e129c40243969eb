// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Hummingbird
import Imaging
import NIOCore
import Service

extension Gateway {
    /// `POST /v1/images/edits` and `/v1/images/variations`: a picture drawn anew from a picture.
    ///
    /// Both dialects that use these paths send forms; the fields are those of a generation, with
    /// `strength` beside them.
    func addEditRoutes(to router: Router<GatewayContext>) {
        router.endpoint("/v1/images/edits", [.post: editImage])
        router.endpoint("/v1/images/variations", [.post: editImage])
        router.endpoint(
            "/v1/images/inpainting",
            [.post: { _, _ in throw Self.noMasks("/v1/images/inpainting") }])
    }

    private static func noMasks(_ place: String) -> APIError {
        APIError(
            .badRequest, code: "unsupported_parameter", parameter: "mask",
            "\(place) is not possible: this server redraws whole pictures and does not take masks;"
                + " send the picture without one to /v1/images/edits.")
    }

    @Sendable
    private func editImage(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let arrival = ContinuousClock.now
        var request = request
        let type = request.headers[.contentType] ?? ""
        guard let boundary = MultipartForm.boundary(of: type) else {
            throw APIError(
                .unsupportedMediaType, code: "invalid_content_type",
                "Content-Type must be multipart/form-data with a boundary, got"
                    + " \(JSONValue.string(type).summary).")
        }
        let body = try await request.readBody(upTo: configuration.maximumUploadBytes)
        let form = try MultipartForm(body, boundary: boundary)
        guard form.files("mask", "mask_image").isEmpty else { throw Self.noMasks("A mask") }
        let images = form.files("image", "image[]", "images", "images[]")
        guard let file = images.first else {
            throw APIError(
                .badRequest, code: "missing_required_parameter", parameter: "image",
                "image is required: a PNG, JPEG or WebP file.")
        }
        guard images.count == 1 else {
            throw APIError.invalid(
                "image",
                "image must be one file: this model starts from one picture, got"
                    + " \(images.count).")
        }
        let source = try await picture(Array(file), field: "image").flattened()
        var texts = form.fields
        // A variation is asked for without words.
        if request.uri.path.hasSuffix("/variations"), texts["prompt", default: ""].isEmpty {
            texts["prompt"] = " "
        }
        let fields = try RequestFields(form: texts)
        let call = try await imageCall(fields, source: source)
        return try await answer(
            call, try OutputOptions(fields), try submission(request, body, fields, context),
            request,
            context, since: arrival)
    }
}
