// Part of Inkstone. Licence: see LICENSE.

import Basics
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
    /// The beginning of the names of hidden files.
    private static let prefix = ".upload-"
    /// Bytes that are written at once.
    private static let chunk = 1 << 20

    private let registry: LoRARegistry
    private let reader: LoRAReader
    private let url: URL
    private let descriptor: Int32

    /// Opens a hidden file.
    ///
    /// - Throws: `APIError` if files cannot be added.
    init(registry: LoRARegistry, reader: LoRAReader) throws(APIError) {
        guard let folder = registry.folder else {
            throw APIError(
                .forbidden, type: "permission_error", code: "no_lora_folder",
                "LoRA files cannot be added: this server has no data folder for them;"
                    + " put the file into the model's folder of LoRA files.")
        }
        self.registry = registry
        self.reader = reader
        url = folder.appending(path: "\(Self.prefix)\(UUID().uuidString)")
        do {
            try FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch { throw Self.full(error.localizedDescription) }
        descriptor = open(url.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.full(errno) }
        LeftoverFile.lock(descriptor)
    }

    /// Removes the hidden files of uploads that a killed process was receiving.
    static func removeLeftovers(of registry: LoRARegistry) {
        guard let folder = registry.folder else { return }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for name in names where name.hasPrefix(prefix) {
            LeftoverFile.remove(folder.appending(path: name).path)
        }
    }

    private static func full(_ number: Int32) -> APIError {
        full(String(cString: strerror(number)) + ".")
    }

    private static func full(_ reason: String) -> APIError {
        APIError(
            .serviceUnavailable, type: "server_error", code: "storage_full",
            "The file cannot be written: \(reason)", retryAfter: RetryAfter.storageFailed)
    }

    /// Appends bytes.
    func write(_ bytes: ByteBuffer) async throws {
        let descriptor = descriptor
        try await WorkThreads.disk.run {
            try bytes.withUnsafeReadableBytes { bytes in
                var done = 0
                while done < bytes.count {
                    let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
                    let count = Foundation.write(descriptor, rest.baseAddress, rest.count)
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { throw Self.full(count < 0 ? errno : EIO) }
                    done += count
                }
            }
        }
    }

    /// Appends a body as it arrives.
    ///
    /// - Throws: `APIError` 413 when it is larger than `limit` bytes.
    func write(_ body: RequestBody, upTo limit: Int) async throws {
        var count = 0
        var pending = ByteBuffer()
        for try await part in body {
            count += part.readableBytes
            guard count <= limit else {
                throw APIError(
                    .contentTooLarge, code: "request_too_large",
                    "A LoRA file must have at most \(limit) bytes.")
            }
            pending.writeImmutableBuffer(part)
            guard pending.readableBytes >= Self.chunk else { continue }
            try await write(pending)
            pending.clear()
        }
        try await write(pending)
    }

    /// Checks the file against the models and moves it to its name.
    ///
    /// - Throws: `APIError` 400 for a file that no model can use, 409 for a name that exists.
    func place(
        as name: String, replacing: Bool
    ) async throws -> (facts: LoRAFacts, url: URL) {
        do {
            let descriptor = descriptor
            try await WorkThreads.disk.run {
                guard fsync(descriptor) == 0 else { throw Self.full(errno) }
            }
            let destination = try registry.destination(name)
            let facts = try await reader.facts(of: url, matching: registry.models)
            let exists = FileManager.default.fileExists(atPath: destination.path)
            guard replacing || !exists else {
                throw APIError(
                    .conflict, code: "lora_exists", parameter: "name",
                    "There is a LoRA \(JSONValue.string(name).summary) already; remove it first, or"
                        + " add replace=true.")
            }
            guard rename(url.path, destination.path) == 0 else {
                throw Self.full(errno)
            }
            return (facts, destination)
        } catch let error as APIError {
            throw error
        } catch let error as RequestError {
            throw APIError(error)
        } catch let error as LoRAFacts.Refusal {
            throw APIError(.badRequest, code: "invalid_lora", parameter: "file", error.message)
        } catch ProgramFailure.notStarted {
            throw APIError(
                .serviceUnavailable, type: "server_error", code: "no_memory",
                "The file cannot be checked: the system starts no process now; try again later.",
                retryAfter: RetryAfter.storageFailed)
        }
    }

    /// Removes the hidden file.
    func discard() {
        close(descriptor)
        try? FileManager.default.removeItem(at: url)
    }
}
