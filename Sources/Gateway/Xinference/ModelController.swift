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
    /// ControlNets that requests may name.
    let controlNets: ControlNetRegistry
    let limits: RequestLimits
    /// Folders of models that the command line named.
    let modelFolders: [URL]
    /// Whether only this machine reaches the service.
    let isLoopback: Bool
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
                .get: .key { _, _ in
                    .json(
                        ModelList(
                            data: await jobs.models.map { ModelRow($0, at: address) }))
                },
                .post: .admin(launchModel),
            ])
        table.add(
            "/v1/models/**",
            [
                .get: .key { _, context in
                    .json(ModelRow(try await model(context.rest), at: address))
                },
                .delete: .admin { _, context in try await terminateModel(context.rest) },
            ])
        table.add("/v1/models/**/requests/:request/abort", [.post: .owner(abort)])
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
    @Sendable
    private func abort(_: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.parameters.require("request")
        let wasRunning = await jobs.cancel(id, for: context.access)
        return .json(["msg": wasRunning ? "DONE" : "NO_OP"])
    }
}
