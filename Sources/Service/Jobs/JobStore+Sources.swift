// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Imaging

extension JobStore {
    /// The files of a source image, written but without their names.
    struct StagedSource: Sendable {
        let image: StagedFile
        let mask: StagedFile?

        /// All files.
        var files: [StagedFile] { [image] + (mask.map { [$0] } ?? []) }

        /// The files as their job's row has them.
        var source: Job.Source {
            Job.Source(
                image: image.name, mask: mask?.name, fileSize: image.size + (mask?.size ?? 0))
        }
    }

    /// Writes files to the disk, while nothing waits for it but the caller.
    ///
    /// - Throws: `ImagingError`, `JobStoreError` of code `full`.
    func staging<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        do {
            return try await WorkThreads.files.run(body)
        } catch {
            if Self.isFull(error) { space.setFull(true) }
            throw error
        }
    }

    /// Encodes a source image and its mask, and writes them to the disk.
    ///
    /// - Throws: `ImagingError`, `JobStoreError` of code `full`.
    func stage(_ source: ImageRequest.Source?) async throws -> StagedSource? {
        guard let source else { return nil }
        return try await staging { [sources] in
            StagedSource(
                image: try sources.stage(try ImageEncoder.encode(source.image)),
                mask: try source.mask.map { try sources.stage(try ImageEncoder.encode($0)) })
        }
    }

    /// The pixels of a job's source image and its mask.
    ///
    /// - Throws: `GenerationError` of code `storage` where a file is missing.
    package func pixels(of source: Job.Source) async throws -> ImageRequest.Source {
        try await WorkThreads.files.run { [sources] in
            func pixels(_ name: String) throws -> RGBImage {
                guard let png = sources.read(name) else {
                    throw GenerationError(
                        .storage, "The source image is no longer stored; send the request again.")
                }
                return try ImageDecoder.decode(png).flattened()
            }
            return ImageRequest.Source(
                image: try pixels(source.image), mask: try source.mask.map(pixels))
        }
    }
}
