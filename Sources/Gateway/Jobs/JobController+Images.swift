// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Hummingbird
import Imaging
import NIOCore
import Service

// GET /api/jobs/{id}/images/{index}/thumbnail   a finished image, reduced
// PUT, DELETE /api/jobs/{id}/images/{index}/star
// GET /api/jobs/{id}/source                     the image that a job started from, in the size of its images

extension JobController {
    /// Pixels of a thumbnail's longer side.
    private static let thumbnailSide = 320

    @Sendable
    func thumbnail(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.parameters.require("id")
        guard let index = context.parameters.get("index", as: Int.self),
            let png = try await requests.jobs.image(index, of: id, for: context.access)
        else {
            throw APIError(
                .notFound, code: "image_not_found",
                "The job has no such image, or not yet; its images list those that are ready.")
        }
        let (bytes, format) = try await WorkThreads.images.run {
            () -> ([UInt8], ImageFormat) in
            let image = try ImageDecoder.decode(png).flattened()
            let longer = max(image.width, image.height)
            guard longer > Self.thumbnailSide else { return (png, .png) }
            func side(_ length: Int) -> Int { max(1, length * Self.thumbnailSide / longer) }
            let small = try image.resized(width: side(image.width), height: side(image.height))
            return (try ImageFile.encode(small, as: .webp, quality: 82), .webp)
        }
        var response = Response.bytes(bytes, type: format.mimeType)
        response.headers[.cacheControl] = "private, max-age=31536000, immutable"
        return response
    }

    @Sendable
    func sourceImage(
        _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        let id = try context.parameters.require("id")
        guard let (job, _) = try await requests.jobs.job(id, for: context.access),
            let source = try await requests.jobs.source(of: job)
        else {
            throw APIError(
                .notFound, code: "image_not_found",
                "The job did not start from an image, or the image is no longer stored.")
        }
        return .bytes(source, type: ImageFormat.png.mimeType)
    }

    /// Gives a finished image a star, or takes it; answers 204.
    func star(_ isStarred: Bool, _ context: GatewayContext) async throws -> Response {
        let id = try context.parameters.require("id")
        let index = context.parameters.get("index", as: Int.self) ?? -1
        guard
            let isKnown = try await requests.jobs.star(
                index, of: id, isStarred, for: context.access)
        else {
            throw APIError(
                .notImplemented, code: "stars_unavailable",
                "The queue of a fleet has no stars: it removes images by their age. Download what"
                    + " is to be kept.")
        }
        guard isKnown else {
            throw APIError(
                .notFound, code: "image_not_found",
                "The job has no such image, or not yet; its images list those that are ready.")
        }
        return Response(status: .noContent)
    }

    /// The source image of a job: `image`, a file in base64.
    ///
    /// - Throws: `APIError` when it cannot be decoded.
    func source(_ fields: RequestFields) async throws(APIError) -> RGBImage? {
        guard let text = try fields.text("image"), !text.isEmpty else { return nil }
        return try await reader.image(base64: text, field: "image").flattened()
    }

    /// The mask of a job: `mask`, white where the image is generated again.
    ///
    /// - Throws: `APIError` 400 for a mask without an image, and for one of another size.
    func mask(_ fields: RequestFields, for source: RGBImage?) async throws(APIError) -> RGBImage? {
        guard let text = try fields.text("mask"), !text.isEmpty else { return nil }
        guard let source else {
            throw .invalid(
                "mask",
                "mask says where image is generated again, and there is no image; send it as image."
            )
        }
        let mask = try await reader.image(base64: text, field: "mask").image
        guard mask.width == source.width, mask.height == source.height else {
            throw .maskSize("mask", source, mask)
        }
        return mask
    }
}
