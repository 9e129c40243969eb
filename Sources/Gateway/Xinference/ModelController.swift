// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Parameters
import Service

/// A model of the OpenAI dialect's list, with the fields that other clients read.
private struct ModelRow: Encodable {
    var id: String
    var object = "model"
    var created: Int
    var ownedBy = "inkstone"
    var name: String
    var modelType = "image"
    var modelName: String
    var modelEngine = "inkstone"
    var modelFamily = "stable_diffusion"
    var modelAbility = ["text2image", "image2image"]
    var accelerators: [String] = []
    var address: String
    var replica = 1
    var precision: String
    var defaults: ModelDefaults
    var limits: ModelLimits

    init(_ model: ModelDescription, at address: String) {
        id = model.id
        modelName = model.id
        self.address = address
        created = model.loadedAt
        name = model.name
        precision = model.precision
        defaults = model.defaults
        limits = model.limits
    }

    private enum CodingKeys: String, CodingKey {
        case id, object, created, name, precision, defaults, limits
        case ownedBy = "owned_by"
        case modelType = "model_type"
        case modelAbility = "model_ability"
        case modelName = "model_name"
        case modelEngine = "model_engine"
        case modelFamily = "model_family"
        case accelerators, address, replica
    }
}

private struct ModelList: Encodable {
    var object = "list"
    var data: [ModelRow]
}

/// A path under `/v1/models/`, divided; an id may contain slashes itself.
private struct ModelPath {
    /// All of it.
    let whole: String
    /// The id, without the words behind it that are not part of it.
    let id: String
    /// Those words.
    let rest: [String]

    init(_ request: Request) {
        let raw = String(request.uri.path.dropFirst("/v1/models/".count))
        whole = raw.removingPercentEncoding ?? raw
        let parts = whole.split(separator: "/").map(String.init)
        let count =
            switch parts.last {
            case "progress", "replicas", "cancel": 1
            case "abort" where parts.count > 3: 3
            case _ where parts.count > 2 && parts[parts.count - 2] == "replicas": 2
            default: 0
            }
        rest = Array(parts.suffix(count))
        id = parts.dropLast(count).joined(separator: "/")
    }
}

/// The models, for the clients of OpenAI and of Xinference, which launch and terminate them as well.
struct ModelController: Controller {
    let jobs: any JobQueue
    /// Workers of this machine; without them the models are fixed.
    let pool: WorkerPool?
    /// How the models of the command line run.
    let launchDefaults: ModelLaunch?
    /// Finds the files of models.
    let locator: ModelLocator
    /// LoRA files that requests may name.
    let loras: LoRARegistry
    let limits: RequestLimits
    /// Host and port of the service.
    let address: String
    /// Errors of launches that no client waited for.
    let failedLaunches = FailedLaunches()

    /// `GET /v1/models` and `GET /v1/models/{id}`, and the routes by which Xinference's clients manage
    /// models; an id may contain slashes.
    func addRoutes(to table: inout RouteTable) {
        addLifecycleRoutes(to: &table)
        table.add(
            "/v1/models",
            [
                .get: { _, _ in
                    .json(
                        ModelList(
                            data: await jobs.models.map { ModelRow($0, at: address) }))
                },
                .post: launchModel,
            ])
        table.add(
            "/v1/models/**",
            [
                .get: { request, _ in
                    let path = ModelPath(request)
                    switch path.rest {
                    case ["progress"]: return .json(await launchProgress(path.id))
                    case ["replicas"]: return .json(try await replicas(of: path.id))
                    default: return .json(ModelRow(try await model(path.whole), at: address))
                    }
                },
                .post: { request, context in
                    let path = ModelPath(request)
                    if path.rest == ["cancel"] {
                        return try await terminateModel(path.id, context, onlyLoading: true)
                    }
                    if path.rest.count == 3, path.rest[0] == "requests", path.rest[2] == "abort" {
                        return try await abort(path.rest[1], context)
                    }
                    if path.rest == ["replicas"] {
                        return try await addReplicas(to: path.id, request, context)
                    }
                    throw APIError.noSuchPath
                },
                .delete: { request, context in
                    let path = ModelPath(request)
                    if path.rest.count == 2, path.rest[0] == "replicas" {
                        return try await removeReplica(path.rest[1], of: path.id, context)
                    }
                    return try await terminateModel(path.whole, context)
                },
            ])
    }

    private func model(_ id: String) async throws(APIError) -> ModelDescription {
        let models = await jobs.models
        guard let model = models.first(where: { $0.id == id }) else {
            if await pool?.launched.contains(where: { $0.id == id }) == true {
                throw APIError.loading(retryAfter: RetryAfter.modelLoading)
            }
            throw APIError.noSuchModel(id, known: models.map(\.id))
        }
        return model
    }

    /// Cancels a request by its id; has no effect on a finished or unknown one.
    func abort(_ id: String, _ context: GatewayContext) async throws -> Response {
        let wasRunning = await jobs.cancel(id, for: context.access)
        return .json(["msg": wasRunning ? "DONE" : "NO_OP"])
    }
}
