// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import HTTPTypes
import Hummingbird
import ModelFiles
import NIOCore
import Parameters
import Service
import ZImage

// GET    /api/loras         the files that requests may name
// POST   /api/loras?name=N  adds a file: the body, or the file of a form
// DELETE /api/loras/{name}  removes a file that was added

/// A file in the answer of `/api/loras`.
private struct LoRARow: Encodable {
    var name: String
    /// Strength of a request that does not name one.
    var scale: Double
    /// A small image as a data URL, or null.
    var thumbnail: String?
    /// Whether it can be removed.
    var removable: Bool
    var bytes: Int
    /// What its metadata says; null until the file was read.
    var words: LoRAFacts.Words?

    private enum CodingKeys: CodingKey {
        case name, scale, thumbnail, removable, bytes, title, summary, triggers
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(name, forKey: .name)
        try fields.encode(scale, forKey: .scale)
        // Present even when null.
        try fields.encode(thumbnail, forKey: .thumbnail)
        try fields.encode(removable, forKey: .removable)
        try fields.encode(bytes, forKey: .bytes)
        try fields.encode(words?.title, forKey: .title)
        try fields.encode(words?.summary, forKey: .summary)
        try fields.encode(words?.triggers ?? [], forKey: .triggers)
    }
}

private struct LoRAList: Encodable {
    var loras: [LoRARow]
    /// Files of the data folder that cannot be used, with the reason.
    var skipped: [LoRAFolder.Skipped]
}

/// A file that was added, and which of its keys match a layer.
private struct AddedLoRA: Encodable {
    var name: String
    var matched: Int
    var unmatched: [String]
    var unused: [String]
    var warning: String?
}

/// LoRA files over HTTP.
struct LoRAController: Controller {
    /// Time that a list waits for files that were not read yet.
    private static let wait = Duration.seconds(1)

    let registry: LoRARegistry
    let pool: WorkerPool?
    /// What the files contain.
    let facts: LoRAFactsCache
    let limits: RequestLimits
    /// Bytes of the largest LoRA file.
    let maximumBytes: Int

    /// The routes in the comment above.
    func addRoutes(to table: inout RouteTable) {
        table.add("/api/loras", [.get: .key(listLoRAs), .post: .admin(addLoRA)])
        table.add("/api/loras/:name", [.delete: .admin(removeLoRA)])
    }

    @Sendable
    private func listLoRAs(_ request: Request, _ context: GatewayContext) async throws -> Response {
        // Folders are read: on a slow disk that takes its time.
        let listing = try await WorkThreads.disk.run { [registry] in registry.listing }
        let files = listing.entries
        let known = await facts.knowledge(of: files.map(\.url), atMost: Self.wait)
        let rows = Dictionary(
            zip(files, known).map { ($0.name, ($0, $1)) }, uniquingKeysWith: { first, _ in first })
        return .json(
            LoRAList(
                loras: listing.offers.map { offer in
                    // Only name and strength are known of a file on another machine.
                    let (entry, knowledge) = rows[offer.name] ?? (nil, .unreadable)
                    return LoRARow(
                        name: offer.name, scale: offer.scale, thumbnail: knowledge.thumbnail,
                        removable: entry?.isOwn ?? false, bytes: knowledge.bytes,
                        words: knowledge.words)
                }, skipped: listing.skipped))
    }

    @Sendable
    private func removeLoRA(_ request: Request, _ context: GatewayContext) async throws -> Response
    {
        let raw = try context.parameters.require("name")
        let name = raw.removingPercentEncoding ?? raw
        let listing = registry.listing
        let known = listing.name(for: name)
        guard let entry = listing.entries.first(where: { $0.name == known }) else {
            throw APIError(
                .notFound, code: "lora_not_found",
                "There is no LoRA \(JSONValue.string(name).summary); GET /api/loras lists those there are."
            )
        }
        guard entry.isOwn else {
            throw APIError(
                .conflict, code: "lora_of_model",
                "The LoRA \(JSONValue.string(name).summary) belongs to a model; remove its file from"
                    + " the model's folder.")
        }
        do {
            let configuration = LoRAConfiguration.location(for: entry.url)
            try FileManager.default.removeItem(at: entry.url)
            try configuration.map(FileManager.default.removeItem(at:))
        } catch {
            throw APIError(
                .internalServerError, type: "server_error", code: "storage_failed",
                "The file cannot be removed: \(error.localizedDescription); check the permissions of the"
                    + " folder of LoRA files.")
        }
        await facts.forget(entry.url)
        return Response(status: .noContent)
    }

    @Sendable
    private func addLoRA(_ request: Request, _ context: GatewayContext) async throws -> Response {
        if registry.elsewhere != nil, await pool?.launched.isEmpty ?? true {
            throw APIError(
                .conflict, code: "no_workers_here",
                "This gateway has no workers of its own that could use the file; put it into the"
                    + " folder of LoRA files on the workers' machines (--lora-folder).")
        }
        try request.checkEncoding()
        let type = request.headers[.contentType] ?? ""
        let upload = try LoRAUpload(registry: registry, reader: LoRAReader(pool: pool))
        defer { upload.discard() }
        var name = request.uri.queryParameters["name"].map(String.init)
        if let boundary = MultipartForm.boundary(of: type) {
            let body = try await request.readBody(upTo: limits.uploadBytes)
            let form = try MultipartForm(body, boundary: boundary)
            guard let part = form.parts.first(where: { $0.fileName != nil }) else {
                throw APIError(
                    .badRequest, code: "missing_required_parameter", parameter: "file",
                    "file is required: a safetensors file.")
            }
            try await upload.write(ByteBuffer(bytes: part.bytes))
            name = try name ?? form.fields["name"] ?? part.fileName
        } else {
            try await upload.write(request.body, upTo: maximumBytes)
        }
        guard var name else {
            throw APIError(
                .badRequest, code: "missing_required_parameter", parameter: "name",
                "name is required: what requests call the file, as in POST /api/loras?name=pixel.")
        }
        name = LoRARegistry.plainName(name)
        let (added, url) = try await upload.place(
            as: name, replacing: request.uri.queryParameters["replace"] == "true")
        await facts.record(added, of: url)
        return .json(
            AddedLoRA(
                name: name, matched: added.match?.matched ?? 0,
                unmatched: added.match?.unmatched ?? [], unused: added.match?.unused ?? [],
                warning: added.match?.warning), status: .created)
    }
}

extension LoRAFactsCache.Knowledge {
    /// What the file's metadata says, if it is known.
    fileprivate var words: LoRAFacts.Words? {
        guard case .facts(let facts) = self else { return nil }
        return facts.words
    }

    /// The thumbnail as a data URL, if there is one and it is known.
    fileprivate var thumbnail: String? {
        guard case .facts(let facts) = self else { return nil }
        return facts.thumbnail.map { "data:image/png;base64," + $0.base64EncodedString() }
    }

    /// Bytes of all tensors, of the whole file until these are known; 0 for a file that cannot be used.
    fileprivate var bytes: Int {
        switch self {
        case .facts(let facts): facts.bytes
        case .pending(let size): size
        case .unreadable: 0
        }
    }
}
