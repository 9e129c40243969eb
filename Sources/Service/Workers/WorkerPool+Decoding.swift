// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
package import Imaging

extension WorkerPool {
    /// Decodes an image file in a worker, where a crash of native code does least harm.
    ///
    /// Where there is no worker, a process is started for it.
    ///
    /// - Throws: `UnreadableImage` when it is none.
    package func decode(_ file: [UInt8]) async throws -> DecodedImage {
        guard file.count <= DecodedImageHeader.fileLimit else {
            throw UnreadableImage(
                description:
                    "The image file must have at most \(DecodedImageHeader.fileLimit) bytes,"
                    + " got \(file.count).")
        }
        let replicas = served.flatMap(\.replicas).filter(\.isUp)
        guard !replicas.isEmpty else { return try await decodeAlone(file) }
        // A second worker is tried, since the first may have died of something else.
        for replica in replicas.prefix(2) + replicas.prefix(replicas.count == 1 ? 1 : 0) {
            guard let worker = try? await replica.worker() else { continue }
            do {
                return try await worker.client.decode(file, within: .seconds(30))
            } catch let error as UnreadableImage {
                throw error
            } catch {
                try Task.checkCancellation()
            }
        }
        throw UnreadableImage.tooMuch
    }

    private nonisolated func decodeAlone(_ file: [UInt8]) async throws -> DecodedImage {
        let folder = URL(filePath: sockets.path).appending(
            path: "picture-\(UUID().uuidString)")
        let (source, target) = (folder.appending(path: "file"), folder.appending(path: "pixels"))
        do {
            try FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700])
            try Data(file).write(to: source)
        } catch {
            throw GenerationError(.storage, "The image cannot be stored to be decoded: \(error)")
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        do {
            try await within(.seconds(30)) {
                try await self.runProgram(["decode-picture", source.path, target.path])
            }
        } catch is WorkerLost {
            throw UnreadableImage.tooMuch
        } catch let error as LaunchError {
            // It writes what is wrong with the image, and nothing where it was killed.
            guard let words = DecodedImageHeader.refusal(in: error.message) else {
                throw UnreadableImage.tooMuch
            }
            throw UnreadableImage(description: words)
        }
        return try DecodedImageHeader.read(target)
    }
}
