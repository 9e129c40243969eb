// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Imaging
import Parameters

/// The header of a frame that asks a worker for images: the request, and the sizes of its source image
/// and mask, whose pixels are the frame's payload, one after the other.
package struct WorkerCall: Codable {
    /// Sizes of the pixels in the payload.
    private struct Source: Codable {
        var width: Int
        var height: Int
        /// Also among the parameters; workers of format version 1 read it here.
        var strength: Double
        var mask: PixelSize?
    }

    private enum CodingKeys: String, CodingKey { case width, height, source }

    private let request: ImageRequest
    private let source: Source?

    /// A call for `request`.
    package init(_ request: ImageRequest) {
        self.request = request
        source = request.source.map {
            Source(
                width: $0.image.width, height: $0.image.height, strength: request.strength ?? 1,
                mask: $0.mask.map { PixelSize(width: $0.width, height: $0.height) })
        }
    }

    /// Reads the fields of a request, and sizes.
    package init(from decoder: any Decoder) throws {
        request = try ImageRequest(from: decoder)
        source = try decoder.container(keyedBy: CodingKeys.self)
            .decodeIfPresent(Source.self, forKey: .source)
    }

    /// Writes the fields of the request, and sizes.
    package func encode(to encoder: any Encoder) throws {
        try request.encode(to: encoder)
        var fields = encoder.container(keyedBy: CodingKeys.self)
        // Workers of format version 1 read the size here.
        try fields.encode(request.size.width, forKey: .width)
        try fields.encode(request.size.height, forKey: .height)
        try fields.encodeIfPresent(source, forKey: .source)
    }

    /// Returns the payload of a request's frame: `[height, width, 3]` of its source, then of its mask.
    package static func pixels(of request: ImageRequest) -> [UInt8] {
        (request.source?.image.pixels ?? []) + (request.source?.mask?.pixels ?? [])
    }

    /// Returns the request with the pixels of its source.
    ///
    /// - Throws: `ImagingError` where the payload has another length than the sizes say.
    package func request(pixels: [UInt8]) throws -> ImageRequest {
        guard let source else { return request }
        let maskLength = source.mask.map { 3 * $0.width * $0.height } ?? 0
        let length = max(0, pixels.count - maskLength)
        return request.with(
            source: ImageRequest.Source(
                image: try RGBImage(
                    width: source.width, height: source.height, pixels: Array(pixels[..<length])),
                mask: try source.mask.map {
                    try RGBImage(
                        width: $0.width, height: $0.height, pixels: Array(pixels[length...]))
                }))
    }
}
