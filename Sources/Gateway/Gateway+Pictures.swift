// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Imaging
import Service

extension Gateway {
    /// Reads a client's picture file, in a worker where there are workers.
    ///
    /// - Throws: `APIError` 400 that names the field when it is no picture, 503 while no worker is there.
    func picture(_ file: [UInt8], field: String) async throws(APIError) -> DecodedImage {
        do {
            guard let pool else { return try ImageDecoder.decode(file, limits: .upload) }
            return try await pool.decode(file)
        } catch let error as UnreadablePicture {
            throw .unreadable(error.description, field)
        } catch let error as ImagingError {
            throw .unreadable(error.description, field)
        } catch {
            throw APIError(describing: error, retryAfter: generator.retryAfter)
                ?? .unreadable("\(error)", field)
        }
    }
}

extension APIError {
    fileprivate static func unreadable(_ sentence: String, _ field: String) -> APIError {
        APIError(.badRequest, code: "invalid_image", parameter: field, sentence)
    }
}
