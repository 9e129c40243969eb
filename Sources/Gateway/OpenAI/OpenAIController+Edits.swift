// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import Imaging
import ModelFiles
import NIOCore
import Parameters
import Service

/// `POST /v1/images/edits`, `/v1/images/variations` and `/v1/images/inpainting`: an image generated from an
/// image, in full or within a mask.
///
/// Both dialects that use these paths send forms, and newer clients of OpenAI's JSON; the fields are those of a
/// generation, with `strength` beside them.
extension OpenAIController {
    @Sendable
    func editImage(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let arrival = ContinuousClock.now
        let (form, body) = try await form(of: request)
        let source = try await form.image.decoded(by: reader).flattened()
        let mask = try await mask(form, for: source)
        if request.uri.path.hasSuffix("/inpainting"), mask == nil {
            throw APIError(
                .badRequest, code: "missing_required_parameter", parameter: "mask_image",
                "mask_image is required: an image that is white where image is generated again.")
        }
        // A variation has no prompt.
        let isVariation = request.uri.path.hasSuffix("/variations")
        let fields = isVariation ? form.fields.withPrompt(" ") : form.fields
        let call = try await requests.imageCall(fields, source: source, mask: mask)
        return try await answer(
            call, try OutputOptions(fields),
            try Submission(request, body: body, fields, context), request, context, since: arrival)
    }

    /// Reads the body of an edit: a form, or JSON with images as data URLs.
    private func form(of request: Request) async throws -> (EditForm, body: [UInt8]) {
        let type = request.headers[.contentType] ?? ""
        let boundary = MultipartForm.boundary(of: type)
        let isJSON = HeaderParameters(type).value == "application/json"
        guard isJSON || boundary != nil else {
            throw APIError(
                .unsupportedMediaType, code: "invalid_content_type",
                "Content-Type must be multipart/form-data with a boundary of 1 to 70 characters, or"
                    + " application/json, got \(JSONValue.string(type).summary).")
        }
        let body = try await request.readBody(upTo: requests.limits.uploadBytes)
        guard let boundary else { return (try EditForm(RequestFields(json: body)), body) }
        return (try EditForm(MultipartForm(body, boundary: boundary)), body)
    }

    /// The mask of a form: white where the image is generated again.
    ///
    /// `mask` is OpenAI's, which is transparent there; without transparency, and as `mask_image`, it
    /// is white there.
    private func mask(
        _ form: EditForm, for source: RGBImage
    ) async throws(APIError) -> RGBImage? {
        guard let file = form.mask else { return nil }
        let decoded = try await file.decoded(by: reader)
        let mask = form.isMaskWhite ? decoded.image : decoded.transparency ?? decoded.flattened()
        guard mask.width == source.width, mask.height == source.height else {
            throw .maskSize(file.field, source, mask)
        }
        return mask
    }
}
