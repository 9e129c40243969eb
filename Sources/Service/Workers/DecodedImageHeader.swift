// Part of Inkstone. Licence: see LICENSE.

package import Foundation
package import Imaging
import NIOCore

/// An image file that a worker has read, on its way back: pixels and opacity are the payload.
package struct DecodedImageHeader: Codable {
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

    /// A frame with everything of an image.
    static func frame(of image: DecodedImage) throws -> ByteBuffer {
        let header = DecodedImageHeader(
            width: image.image.width, height: image.image.height,
            hasAlpha: image.alpha != nil, format: image.format,
            texts: image.metadata.entries.map { Text(key: $0.key, text: $0.text) })
        return try WorkerFrame.encode(header, payload: image.image.pixels + (image.alpha ?? []))
    }

    /// Precedes the error of a file that cannot be decoded.
    private static let mark = "[picture] "

    /// Decodes an uploaded image file and writes its pixels, for another process.
    ///
    /// - Throws: `UnreadableImage`, or what writing throws.
    package static func decode(_ source: URL, to target: URL) throws {
        let image: DecodedImage
        do {
            image = try ImageDecoder.decodeUpload([UInt8](try Data(contentsOf: source)))
        } catch let error as ImagingError {
            throw UnreadableImage(description: mark + error.description)
        }
        try Data(Array(try frame(of: image).readableBytesView)).write(to: target)
    }

    /// The error that such a process wrote about the file, if any.
    static func refusal(in words: String) -> String? {
        words.firstRange(of: mark).map { String(words[$0.upperBound...]) }
    }

    /// The image that such a process wrote.
    static func read(_ target: URL) throws -> DecodedImage {
        var buffer = ByteBuffer(bytes: try Data(contentsOf: target))
        guard let frame = try WorkerFrame.take(from: &buffer) else {
            throw UnreadableImage.tooMuch
        }
        return try image(of: frame)
    }

    /// The image of a frame.
    static func image(of frame: WorkerFrame) throws -> DecodedImage {
        let header = try frame.decode(DecodedImageHeader.self)
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
    /// Limits of uploads: a small file can hold an image of gigabytes.
    ///
    /// Photographs of 24 megapixels are within.
    package static let upload = ImageLimits(maximumPixels: 32_000_000)
}

extension ImageDecoder {
    /// The most pixels of an image that a request starts from; the largest size of a model is below.
    private static let uploadPixels = 4096 * 4096

    /// Decodes an uploaded file; a larger image is made smaller on arrival.
    ///
    /// - Throws: `ImagingError`.
    package static func decodeUpload(_ bytes: [UInt8]) throws(ImagingError) -> DecodedImage {
        try decode(bytes, limits: .upload, reducingTo: uploadPixels)
    }
}

/// Why a file cannot be decoded, in one sentence.
package struct UnreadableImage: Error, Sendable, CustomStringConvertible {
    package let description: String

    /// The decoder took too long or crashed.
    static let tooMuch = UnreadableImage(
        description: "The image cannot be read: reading it took too long or ended the worker;"
            + " save it as PNG again and send that.")
}
