// Part of Inkstone. Licence: see LICENSE.

package import Imaging
import NIOCore

/// A picture file that a worker has read, on its way back: pixels and opacity are the payload.
struct DecodedPicture: Codable {
    /// Bytes of the largest file that a worker reads.
    static let fileLimit = 128 << 20

    struct Text: Codable {
        var key: String
        var text: String
    }

    var width: Int
    var height: Int
    var hasAlpha: Bool
    var format: ImageFormat
    var texts: [Text]

    /// A frame with everything of a picture.
    static func frame(of picture: DecodedImage) throws -> ByteBuffer {
        let header = DecodedPicture(
            width: picture.image.width, height: picture.image.height,
            hasAlpha: picture.alpha != nil, format: picture.format,
            texts: picture.metadata.entries.map { Text(key: $0.key, text: $0.text) })
        return try WorkerFrame.encode(header, payload: picture.image.pixels + (picture.alpha ?? []))
    }

    /// The picture of a frame.
    static func picture(of frame: WorkerFrame) throws -> DecodedImage {
        let header = try frame.decode(DecodedPicture.self)
        let colors = 3 * header.width * header.height
        let image = try RGBImage(
            width: header.width, height: header.height, pixels: Array(frame.payload.prefix(colors)))
        return try DecodedImage(
            image: image, alpha: header.hasAlpha ? Array(frame.payload.dropFirst(colors)) : nil,
            metadata: ImageMetadata(
                entries: header.texts.map { .init(key: $0.key, text: $0.text) }),
            format: header.format)
    }
}

extension ImageLimits {
    /// What strangers may send: a small file can hold a picture that takes gigabytes.
    package static let upload = ImageLimits(maximumPixels: 4096 * 4096)
}

/// A file that no picture can be read from, in one sentence.
package struct UnreadablePicture: Error, Sendable, CustomStringConvertible {
    package let description: String
}
