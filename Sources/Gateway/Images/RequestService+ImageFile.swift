// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Service

extension RequestService {
    /// The file of a job's image in a format, with its metadata.
    ///
    /// - Parameters:
    ///   - index: The index of the image.
    ///   - job: The id of the job.
    ///   - format: The format.
    ///   - quality: Quality of lossy formats, 1 to 100.
    ///   - access: The jobs that the client may find.
    /// - Returns: The file, or `nil` if the image does not exist.
    /// - Throws: an error of the job store or of the encoder.
    func imageFile(
        _ index: Int, of job: String, as format: ImageFormat, quality: Int, for access: JobAccess
    ) async throws -> [UInt8]? {
        guard let png = try await jobs.image(index, of: job, for: access) else { return nil }
        guard format != .png else { return png }
        return try await WorkThreads.images.run {
            let decoded = try ImageDecoder.decode(png)
            return try ImageFile.encode(
                decoded.flattened(), as: format, quality: quality, metadata: decoded.metadata)
        }
    }
}
