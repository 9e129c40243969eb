// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
import Foundation
import HTTPTypes
import Imaging
import Service

/// Decodes the image files of clients, in a worker process if the service has workers.
struct ImageReader: Sendable {
    let pool: WorkerPool?
    /// The estimate of `Retry-After` while no worker is there.
    let meter: EngineMeter

    /// Decodes an image file.
    ///
    /// - Throws: `APIError` 400 that names the field when the file cannot be decoded, 503 while no worker is
    ///   there.
    func image(_ file: [UInt8], field: String) async throws(APIError) -> DecodedImage {
        do {
            guard let pool else {
                return try await WorkThreads.images.run {
                    try ImageDecoder.decodeUpload(file)
                }
            }
            return try await pool.decode(file)
        } catch let error as UnreadableImage {
            throw .unreadable(error.description, field)
        } catch let error as ImagingError {
            throw .unreadable(error.description, field)
        } catch {
            throw APIError(describing: error, retryAfter: meter.retryAfter)
                ?? .unreadable("\(error)", field)
        }
    }

    /// Decodes an image file in base64, with or without the head of a data URL.
    ///
    /// - Throws: `APIError` as above, or 400 for text that is not base64.
    func image(base64 text: String, field: String) async throws(APIError) -> DecodedImage {
        let file = Self.decoded(text)
        if file?.isEmpty == true {
            throw .unreadable(
                "\(field) is an empty file; send a PNG, JPEG or WebP image. Its upload may have been"
                    + " interrupted.", field)
        }
        guard let file else {
            throw .invalid(
                field,
                "\(field) must be an image file in base64, with or without data:image/…;base64,.")
        }
        return try await image(file, field: field)
    }

    /// Bytes of the longest head of a data URL.
    private static let maximumHeadBytes = 1024

    /// The bytes of base64 text behind the head of a data URL, if there is one.
    private static func decoded(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { bytes in
            guard bytes.starts(with: "data:".utf8) else { return Base64.decode(bytes) }
            let comma = bytes.prefix(maximumHeadBytes).firstIndex(of: UInt8(ascii: ","))
            return comma.flatMap { Base64.decode(.init(rebasing: bytes[($0 + 1)...])) }
        }
    }
}

extension APIError {
    fileprivate static func unreadable(_ sentence: String, _ field: String) -> APIError {
        APIError(.badRequest, code: "invalid_image", parameter: field, sentence)
    }

    /// A mask whose size is not that of its image.
    static func maskSize(_ field: String, _ source: RGBImage, _ mask: RGBImage) -> APIError {
        .invalid(
            field,
            "\(field) must be as large as image, \(source.width)x\(source.height), got"
                + " \(mask.width)x\(mask.height).")
    }
}
