// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import HTTPTypes
import Hummingbird
import ModelFiles
import NIOCore
import Parameters
import Service

/// A LoRA file that is uploaded into the data folder: hidden until it is complete and checked.
struct LoRAUpload {
    private let registry: LoRARegistry
    private let url: URL
    private let handle: FileHandle

    /// Opens a hidden file.
    ///
    /// - Throws: `APIError` if files cannot be added.
    init(registry: LoRARegistry) throws(APIError) {
        guard let folder = registry.folder else {
            throw APIError(
                .forbidden, type: "permission_error", code: "no_lora_folder",
                "LoRA files cannot be added: this server has no data folder for them.")
        }
        self.registry = registry
        url = folder.appending(path: ".upload-\(UUID().uuidString)")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            guard FileManager.default.createFile(atPath: url.path, contents: nil) else {
                throw CocoaError(.fileWriteUnknown)
            }
            handle = try FileHandle(forWritingTo: url)
        } catch { throw Self.full(error) }
    }

    private static func full(_ error: any Error) -> APIError {
        APIError(
            .serviceUnavailable, type: "server_error", code: "storage_full",
            "The file cannot be written: \(error.localizedDescription)",
            retryAfter: RetryAfter.storageFailed)
    }

    /// Appends bytes.
    func write(_ bytes: some Sequence<UInt8>) throws(APIError) {
        do { try handle.write(contentsOf: Data(bytes)) } catch { throw Self.full(error) }
    }

    /// Appends a body as it arrives.
    ///
    /// - Throws: `APIError` 413 when it is larger than `limit` bytes.
    func write(_ body: RequestBody, upTo limit: Int) async throws {
        var count = 0
        for try await part in body {
            count += part.readableBytes
            guard count <= limit else {
                throw APIError(
                    .contentTooLarge, code: "request_too_large",
                    "A LoRA file must have at most \(limit) bytes.")
            }
            try write(part.readableBytesView)
        }
    }

    /// Checks the file against the models and moves it to its name.
    ///
    /// - Throws: `APIError` 400 for a file that no model can use, 409 for a name that exists.
    func place(as name: String, replacing: Bool) throws -> LoRAFacts.Match {
        do {
            try handle.synchronize()
            let destination = try registry.destination(name)
            let report = try LoRAFacts.match(url, with: registry.models)
            let exists = FileManager.default.fileExists(atPath: destination.path)
            guard replacing || !exists else {
                throw APIError(
                    .conflict, code: "lora_exists", parameter: "name",
                    "There is a LoRA \(JSONValue.string(name).summary) already; remove it first, or"
                        + " add replace=true.")
            }
            guard rename(url.path, destination.path) == 0 else {
                throw Self.full(CocoaError(.fileWriteUnknown))
            }
            return report
        } catch let error as APIError {
            throw error
        } catch let error as RequestError {
            throw APIError(error)
        } catch let error as LoRAFacts.Refusal {
            throw APIError(.badRequest, code: "invalid_lora", parameter: "file", error.message)
        }
    }

    /// Removes the hidden file.
    func discard() {
        try? handle.close()
        try? FileManager.default.removeItem(at: url)
    }
}
