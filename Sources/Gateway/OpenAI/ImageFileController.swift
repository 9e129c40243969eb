// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import Imaging
import ModelFiles
import NIOCore

/// `GET /v1/images/files/{job}-{index}.{format}`: the images that the `url` of an answer points to.
///
/// They are those of the job store, encoded as the address says; `?quality=` is that of lossy formats.
struct ImageFileController: Controller {
    let requests: RequestService

    func addRoutes(to table: inout RouteTable) {
        table.add("/v1/images/files/:name", [.get: .link(file)])
    }

    @Sendable
    private func file(_ request: Request, _ context: GatewayContext) async throws -> Response {
        var quality = OutputOptions.defaultQuality
        if let text = request.uri.queryParameters["quality"] {
            guard let number = Int(text), (1...100).contains(number) else {
                throw APIError.invalid(
                    "quality",
                    "quality must be between 1 and 100, got"
                        + " \(JSONValue.string(String(text)).summary).")
            }
            quality = number
        }
        guard let name = ImageName(context.parameters.get("name") ?? ""),
            let bytes = try await requests.imageFile(
                name.index, of: name.job, as: name.format, quality: quality, for: context.access)
        else {
            throw APIError(
                .notFound, code: "file_not_found",
                "There is no such image, or its job was removed; ask for response_format b64_json"
                    + " to get images in the answer.")
        }
        var response = Response.bytes(bytes, type: name.format.mimeType)
        response.headers[.cacheControl] = "private, max-age=3600, immutable"
        return response
    }
}
