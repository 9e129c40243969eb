// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import HTTPTypes
import Hummingbird
import ModelFiles
import Service
import Synchronization

// POST   /v1/models?wait_ready=   launches a model; with keys, the scope admin is required
// DELETE /v1/models/{uid}          terminates it, with the scope admin
// POST   /v1/models/{uid}/cancel   the same while it loads
// GET    /v1/models/{uid}/progress, /v1/models/{uid}/replicas
// POST   /v1/models/{uid}/requests/{id}/abort cancels a request
// POST   /v1/models/{uid}/replicas            more workers, with the scope admin: {"replica": 1}
// DELETE /v1/models/{uid}/replicas/{number}   one worker less, with the scope admin
// GET    /v1/model_registrations/{type}, /v1/model_registrations/{type}/{name}: models with files here
// GET    /v1/engines/{type}/{name}

/// Progress of a launch.
struct LaunchProgress: Encodable {
    struct Replica: Encodable {
        var name: String
        var progress: Double
        var status: String
    }

    var progress = 0.0
    /// `pending`, `loading`, `ready` or `failed`.
    var stage = "pending"
    var error: String?
    var downloadFiles: [String] = []
    var replicas: [Replica] = []

    private enum CodingKeys: String, CodingKey {
        case progress, stage, error, replicas
        case downloadFiles = "download_files"
    }
}

/// Errors of launches in the background.
final class FailedLaunches: Sendable {
    private let reasons = Mutex<[String: String]>([:])

    subscript(id: String) -> String? {
        get { reasons.withLock { $0[id] } }
        set {
            reasons.withLock { reasons in
                // Names come from clients.
                if newValue != nil, reasons.count >= 100 { reasons = [:] }
                reasons[id] = newValue
            }
        }
    }
}

extension ModelController {
    /// The routes in the comment above that launch and terminate models, and report on them.
    func addLifecycleRoutes(to table: inout RouteTable) {
        table.add(
            "/v1/models/**/cancel",
            [
                .post: .admin { _, context in
                    try await terminateModel(context.rest, onlyLoading: true)
                }
            ])
        table.add(
            "/v1/models/**/progress",
            [.get: .key { _, context in .json(await launchProgress(context.rest)) }])
        table.add(
            "/v1/models/**/replicas",
            [
                .get: .key { _, context in .json(try await replicas(of: context.rest)) },
                .post: .admin(addReplicas),
            ])
        table.add("/v1/models/**/replicas/:number", [.delete: .admin(removeReplica)])
        table.add("/v1/model_registrations/:type", [.get: .key(registrations)])
        table.add("/v1/model_registrations/:type/:name", [.get: .key(registration)])
        table.add("/v1/engines/:type/:name", [.get: .key(engines)])
    }

    // MARK: - Launching

    @Sendable
    func launchModel(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try RequestFields(
            json: try await request.readBody(upTo: limits.bodyBytes))
        // Launching a model that runs already is not an error: the client wants to use it.
        func isThere(_ id: String) async -> Bool {
            await jobs.models.contains { $0.id == id }
        }
        if try fields.string("model_uid", "model_path") == nil,
            let name = try fields.string("model_name"), await isThere(name)
        {
            return .json(["model_uid": name])
        }
        let paths = launchPaths(context)
        let wanted = try await WorkThreads.disk.run { [launchDefaults] in
            try LaunchFields(fields, defaults: launchDefaults, paths: paths)
        }
        let id = try await modelID(of: wanted, paths, context)
        if wanted.uid == nil, await isThere(id) { return .json(["model_uid": id]) }
        guard let pool else {
            throw APIError(
                .badRequest, code: "models_are_fixed",
                "The models of this service are chosen when it starts: its operator names them with --model."
            )
        }
        failedLaunches[id] = nil
        if request.uri.queryParameters["wait_ready"]?.lowercased() == "false" {
            Task {
                do {
                    try await launch(wanted.launch, on: pool)
                } catch {
                    let known = paths.error(error, of: wanted.launch, context.logger)
                    failedLaunches[id] = (known as? APIError)?.message ?? "\(known)"
                }
            }
        } else {
            do {
                try await launch(wanted.launch, on: pool)
            } catch {
                throw paths.error(error, of: wanted.launch, context.logger)
            }
        }
        return .json(["model_uid": id])
    }

    /// What this request may launch.
    private func launchPaths(_ context: GatewayContext) -> LaunchPaths {
        LaunchPaths(
            locator: locator, folders: modelFolders + [loras.folder].compactMap(\.self),
            allowsOthers: context.key?.scope == .admin || (context.key == nil && isLoopback))
    }

    /// The name for requests of a model that is launched.
    private func modelID(
        of wanted: LaunchFields, _ paths: LaunchPaths, _ context: GatewayContext
    ) async throws -> String {
        if let id = wanted.uid { return id }
        let folder = wanted.launch.folder
        do {
            // A file of weights in place of a folder has a header of up to 100 MB.
            return try await WorkThreads.disk.run { try ModelDirectory(url: folder).manifest.id }
        } catch {
            throw paths.error(error, of: wanted.launch, context.logger)
        }
    }

    func terminateModel(_ id: String, onlyLoading: Bool = false) async throws -> Response {
        let (pool, isLoaded) = try await launched(id)
        if !onlyLoading || !isLoaded {
            try await pool.terminate(id)
            await offerLoRAs(of: pool)
        }
        return .json(JSONValue.null)
    }

    private func launch(_ launch: ModelLaunch, on pool: WorkerPool) async throws {
        try await pool.launch(launch)
        await offerLoRAs(of: pool)
    }

    /// Offers the LoRA files and ControlNets in the folders of the launched models.
    private func offerLoRAs(of pool: WorkerPool) async {
        let folders = await pool.launched.map(\.folder)
        loras.offer(models: folders)
        controlNets.offer(models: folders)
    }

    // MARK: - Replicas

    /// Starts more workers of a model.
    @Sendable
    private func addReplicas(
        _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        let id = context.rest
        let body = try await request.readBody(upTo: limits.bodyBytes)
        let count = body.isEmpty ? 1 : try RequestFields(json: body).integer("replica") ?? 1
        guard (1...64).contains(count) else {
            throw APIError.invalid("replica", "replica must be between 1 and 64, got \(count).")
        }
        let (pool, _) = try await launched(id)
        try await pool.addReplicas(Int(count), to: id)
        return .json(try await replicas(of: id))
    }

    /// Ends one worker of a model after its current requests.
    @Sendable
    private func removeReplica(_: Request, _ context: GatewayContext) async throws -> Response {
        let (id, text) = (context.rest, try context.parameters.require("number"))
        guard let number = Int(text) else {
            throw APIError(
                .notFound, code: "replica_not_found",
                "A replica is named by its number, such as 0, got \(JSONValue.string(text).summary); GET"
                    + " /v1/models/NAME/replicas lists them.")
        }
        let left = try await launched(id).pool.removeReplica(number, of: id)
        return .json(["remaining_replicas": left])
    }

    /// The pool that has a model, and whether it is loaded.
    private func launched(_ id: String) async throws -> (pool: WorkerPool, isLoaded: Bool) {
        guard let pool, let model = await pool.launched.first(where: { $0.id == id }) else {
            throw APIError.noSuchModel(id, known: await jobs.models.map(\.id))
        }
        return (pool, model.isLoaded)
    }

    // MARK: - Reports

    func launchProgress(_ id: String) async -> LaunchProgress {
        var answer = LaunchProgress()
        guard let report = await pool?.report().first(where: { $0.id == id }) else {
            if let reason = failedLaunches[id] { (answer.stage, answer.error) = ("failed", reason) }
            return answer
        }
        answer.replicas = report.replicas.map {
            .init(
                name: $0.name, progress: $0.status?.loaded ?? 0,
                status: $0.status?.state.rawValue ?? "starting")
        }
        let shares = answer.replicas.map(\.progress)
        answer.progress = shares.reduce(0, +) / Double(max(1, shares.count))
        answer.stage = report.model == nil ? "loading" : "ready"
        return answer
    }

    func replicas(of id: String) async throws(APIError) -> [LaunchProgress.Replica] {
        let replicas = await launchProgress(id).replicas
        guard !replicas.isEmpty else {
            throw APIError.noSuchModel(id, known: await jobs.models.map(\.id))
        }
        return replicas
    }

    // MARK: - Catalog

    private struct Registration: Encodable {
        var model_name: String
        var is_builtin = true
        var model_type = "image"
        var model_family = "stable_diffusion"
        var model_ability = ["text2image", "image2image"]
    }

    /// Names of the models whose files are on this machine.
    private func catalog(_ context: GatewayContext) throws -> [String] {
        guard try context.parameters.require("type") == "image" else { return [] }
        return locator.entries.map(\.name)
    }

    private func named(_ context: GatewayContext) throws -> String {
        let (name, known) = (try context.parameters.require("name"), try catalog(context))
        guard known.contains(name) else { throw APIError.noSuchModel(name, known: known) }
        return name
    }

    @Sendable
    private func registrations(_: Request, _ context: GatewayContext) async throws -> Response {
        .json(try catalog(context).map { Registration(model_name: $0) })
    }

    @Sendable
    private func registration(_: Request, _ context: GatewayContext) async throws -> Response {
        .json(Registration(model_name: try named(context)))
    }

    @Sendable
    private func engines(_: Request, _ context: GatewayContext) async throws -> Response {
        .json(["inkstone": [["model_name": try named(context), "model_format": "diffusers"]]])
    }
}
