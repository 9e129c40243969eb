// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import HTTPTypes
import Hub
import Hummingbird
import ModelFiles
import Parameters
import Service
import ZImage

// All are of the class admin:
//
// GET    /api/catalog                   models whose files are on this machine, launched or not
// POST   /api/catalog                   pulls one: {"repository", "hub", "revision", "files", "name", "add"}
// GET    /api/catalog/{name}            all about one
// DELETE /api/catalog/{name}            removes its files
// POST   /api/catalog/{name}/quantize   packs its weights: {"precision"}
// GET    /api/catalog-tasks             pulls and packings, those that have ended among them
// GET    /api/catalog-tasks/{id}, DELETE /api/catalog-tasks/{id}

/// The model files of this machine over HTTP.
struct CatalogController: Controller {
    let locator: ModelLocator
    let pool: WorkerPool?
    /// Folder of packed weights, if it is not the default.
    let cacheFolder: String?
    let limits: RequestLimits
    let tasks = CatalogTasks()

    /// The routes in the comment above.
    func addRoutes(to table: inout RouteTable) {
        table.add("/api/catalog", [.get: .admin(listCatalog), .post: .admin(pullModel)])
        table.add("/api/catalog/:name", [.get: .admin(showModel), .delete: .admin(removeModel)])
        table.add("/api/catalog/:name/quantize", [.post: .admin(quantizeModel)])
        table.add(
            "/api/catalog-tasks",
            [.get: .admin { _, _ in .json(["tasks": tasks.rows]) }])
        table.add(
            "/api/catalog-tasks/:id",
            [
                .get: .admin { _, context in
                    let id = try context.parameters.require("id")
                    guard let row = tasks[id] else { throw APIError.noSuchTask(id) }
                    return .json(row)
                },
                .delete: .admin { _, context in
                    let id = try context.parameters.require("id")
                    guard let row = tasks.cancel(id) else { throw APIError.noSuchTask(id) }
                    return .json(row, status: .accepted)
                },
            ])
    }

    // MARK: - List

    @Sendable
    private func listCatalog(_: Request, _: GatewayContext) async throws -> Response {
        let launched = await launchedFolders()
        // Files of weights without configuration files are described by their headers.
        let models = try await WorkThreads.disk.run { [locator] in
            locator.entries.map {
                CatalogModel($0, isLaunched: launched.contains($0.folder.canonicalPath))
            }
        }
        return .json(["models": models])
    }

    @Sendable
    private func showModel(_: Request, _ context: GatewayContext) async throws -> Response {
        let entry = try catalogEntry(context)
        let launched = await launchedFolders().contains(entry.folder.canonicalPath)
        return .json(
            try await WorkThreads.disk.run {
                CatalogModel(entry, isLaunched: launched, inFull: true)
            })
    }

    /// Folders of the models that run.
    private func launchedFolders() async -> Set<String> {
        Set(await pool?.launched.map(\.folder.canonicalPath) ?? [])
    }

    /// The model of the path.
    private func catalogEntry(_ context: GatewayContext) throws -> CatalogEntry {
        let raw = try context.parameters.require("name")
        let name = raw.removingPercentEncoding ?? raw
        let entries = locator.entries
        guard let entry = entries.first(where: { $0.name == name }) else {
            throw APIError.noSuchModel(name, known: entries.map(\.name))
        }
        return entry
    }

    // MARK: - Pulling and removing

    @Sendable
    private func pullModel(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try RequestFields(
            json: try await request.readBody(upTo: limits.bodyBytes))
        guard let repository = try fields.string("repository", "repo", "repo_id") else {
            throw APIError(
                .badRequest, code: "missing_required_parameter", parameter: "repository",
                "repository is required: OWNER/NAME on the hub, such as Tongyi-MAI/Z-Image-Turbo.")
        }
        guard let root = locator.userRoot else {
            throw APIError(
                .forbidden, type: "permission_error", code: "no_model_folder",
                "This server has no folder for models; name one in INKSTONE_MODELS.")
        }
        let kinds = HubEndpoint.Kind.allCases.map(\.rawValue)
        let kind =
            try fields.choice("hub", of: kinds).flatMap(HubEndpoint.Kind.init) ?? .huggingFace
        let name = try fields.string("name")
        var pull: ModelPull
        do throws(HubError) {
            // Address and token are the operator's: a request cannot send the server to other hosts.
            pull = try ModelPull(repository, from: try HubEndpoint(kind), name: name, into: root)
        } catch { throw APIError(error) }
        pull.revision = try fields.string("revision")
        pull.patterns = try fields.texts("files") ?? []
        pull.adds = try fields.bool("add") ?? false
        guard pull.name != ModelLocator.embeddedModel else {
            throw APIError(
                .conflict, code: "model_built_in", parameter: "name",
                "'\(pull.name)' is the model that comes with the program; give this one another name."
            )
        }
        let row = CatalogTask(
            id: CatalogTask.newID(), kind: .pull, model: pull.name, repository: pull.repository)
        let wanted = pull
        return .json(
            try tasks.start(row) { change in
                let outcome = try await wanted.run { progress in
                    change { row in
                        (row.bytes, row.totalBytes) = (progress.bytes, progress.total)
                        (row.files, row.totalFiles) = (progress.files, progress.fileCount)
                    }
                }
                change { row in
                    (row.bytes, row.totalBytes) = (outcome.bytes, outcome.bytes)
                    (row.files, row.totalFiles) = (outcome.files, outcome.files)
                    do { _ = try ModelDirectory(url: outcome.folder) } catch {
                        // The parts of a model may be pulled one after the other.
                        let reason = "\(error)".replacing(
                            outcome.folder.path, with: outcome.folder.lastPathComponent)
                        row.message = "not usable yet: \(reason)"
                    }
                }
            }, status: .accepted)
    }

    @Sendable
    private func removeModel(_: Request, _ context: GatewayContext) async throws -> Response {
        let entry = try catalogEntry(context)
        let name = entry.name
        guard let root = locator.userRoot, entry.isRemovable else {
            throw APIError(
                .conflict, code: "model_not_removable",
                "'\(name)' is not in the folder of models that can be added and removed.")
        }
        guard await !launchedFolders().contains(entry.folder.canonicalPath),
            !tasks.isBusy(name)
        else {
            throw APIError(
                .conflict, code: "model_busy",
                "'\(name)' is in use; terminate the model, or its task, first.")
        }
        do throws(HubError) { try ModelRemoval.remove(name, from: root) } catch {
            throw APIError(error)
        }
        return Response(status: .noContent)
    }

    @Sendable
    private func quantizeModel(
        _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        let folder = try catalogEntry(context).folder
        let body = try await request.readBody(upTo: limits.bodyBytes)
        let fields = body.isEmpty ? RequestFields([:]) : try RequestFields(json: body)
        let precision =
            try fields.choice("precision", of: ["auto", "f32", "bf16", "int8"]) ?? "auto"
        guard let pool else {
            throw APIError(
                .badRequest, code: "models_are_fixed",
                "The models of this service are chosen when it starts: its operator names them with --model."
            )
        }
        var words = ["models", "quantize", folder.path, "--precision", precision, "--quiet"]
        if let cacheFolder { words += ["--cache-dir", cacheFolder] }
        let command = words
        return .json(
            try tasks.start(
                CatalogTask(
                    id: CatalogTask.newID(), kind: .quantize, model: folder.lastPathComponent)
            ) { _ in
                do { try await pool.runProgram(command) } catch let error as LaunchError {
                    throw LaunchError(
                        error.code,
                        error.message.replacing(folder.path, with: folder.lastPathComponent))
                }
            }, status: .accepted)
    }
}

extension CatalogTask {
    /// A new unique id.
    fileprivate static func newID() -> String {
        "task-" + UUID().uuidString.lowercased().replacing("-", with: "").prefix(16)
    }
}

extension APIError {
    fileprivate static func noSuchTask(_ id: String) -> APIError {
        APIError(
            .notFound, code: "task_not_found",
            "There is no task \(JSONValue.string(id).summary); GET /api/catalog-tasks lists them.")
    }

    fileprivate init(_ error: HubError) {
        switch error.code {
        case .usage, .unsupported:
            self.init(.badRequest, code: "invalid_request", error.description)
        case .notFound: self.init(.notFound, code: "model_not_found", error.description)
        case .busy: self.init(.conflict, code: "model_busy", error.description)
        case .disk, .denied, .network, .corrupt:
            self.init(
                .serviceUnavailable, type: "server_error", code: "catalog_failed",
                error.description, retryAfter: RetryAfter.catalogFailed)
        }
    }
}
