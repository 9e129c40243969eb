// Part of Inkstone. Licence: see LICENSE.

import Engine
package import Imaging

extension WorkerPool {
    /// Reads a picture file in a worker, where a crash of native code does least harm.
    ///
    /// - Throws: `UnreadablePicture` when it is none; `GenerationError.notLoaded` while there is no worker.
    package func decode(_ file: [UInt8]) async throws -> DecodedImage {
        guard file.count <= DecodedPicture.fileLimit else {
            throw UnreadablePicture(
                description: "The picture file must have at most \(DecodedPicture.fileLimit) bytes,"
                    + " got \(file.count).")
        }
        let replicas = served.flatMap(\.replicas).filter(\.isUp)
        guard !replicas.isEmpty else {
            throw GenerationError(.notLoaded, "no model is loaded yet; try again in a moment.")
        }
        // A second worker is tried, since the first may have died of something else.
        for replica in replicas.prefix(2) + replicas.prefix(replicas.count == 1 ? 1 : 0) {
            guard let worker = try? await replica.worker() else { continue }
            do {
                return try await worker.client.decode(file, within: .seconds(30))
            } catch let error as UnreadablePicture {
                throw error
            } catch {
                try Task.checkCancellation()
            }
        }
        throw UnreadablePicture(
            description: "The picture cannot be read: reading it took too long or ended the worker;"
                + " save it anew as PNG and send that.")
    }
}
