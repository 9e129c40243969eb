// Part of Inkstone. Licence: see LICENSE.

package import Foundation
package import Imaging
import NIOCore

/// A picture file that a worker has read, on its way back: pixels and opacity are the payload.
package struct DecodedPicture: Codable {
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

    /// In front of what a process says of a file that is no picture.
    private static let mark = "[picture] "

    /// Reads a picture file that somebody sent and writes what it shows, for another process.
    ///
    /// - Throws: `UnreadablePicture`, or what writing throws.
    package static func decode(_ source: URL, to target: URL) throws {
        let picture: DecodedImage
        do {
            picture = try ImageDecoder.decode(
                [UInt8](try Data(contentsOf: source)), limits: .upload)
        } catch let error as ImagingError {
            throw UnreadablePicture(description: mark + error.description)
        }
        try Data(Array(try frame(of: picture).readableBytesView)).write(to: target)
    }

    /// What such a process said of the file, if it said anything.
    static func refusal(in words: String) -> String? {
        words.firstRange(of: mark).map { String(words[$0.upperBound...]) }
    }

    /// What such a process wrote.
    static func read(_ target: URL) throws -> DecodedImage {
        var buffer = ByteBuffer(bytes: try Data(contentsOf: target))
        guard let frame = try WorkerFrame.take(from: &buffer) else {
            throw UnreadablePicture.tooMuch
        }
        return try picture(of: frame)
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

    /// Native code that did not come back.
    static let tooMuch = UnreadablePicture(
        description: "The picture cannot be read: reading it took too long or ended the worker;"
            + " save it anew as PNG and send that.")
}
