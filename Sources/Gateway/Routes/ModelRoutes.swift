// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Service

/// A model as the OpenAI dialect lists it, with what other clients look for.
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
    var defaults: ModelDescription.Defaults
    var limits: ModelDescription.Limits

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

extension Gateway {
    /// `GET /v1/models` and `GET /v1/models/{id}`, where an id may contain slashes, and what
    /// Xinference's clients do with models.
    func addModelRoutes(to router: Router<GatewayContext>) {
        router.endpoint(
            "/v1/models",
            [
                .get: { _, _ in
                    .json(
                        ModelList(
                            data: await generator.models.map { ModelRow($0, at: address) }))
                },
                .post: launchModel,
            ])
        router.endpoint(
            "/v1/models/**",
            [
                .get: { request, _ in
                    .json(ModelRow(try await model(Self.rest(of: request)), at: address))
                },
                .post: { request, context in
                    let parts = Self.rest(of: request).split(separator: "/")
                    guard parts.count >= 4, parts.last == "abort",
                        parts[parts.count - 3] == "requests"
                    else { throw APIError.noSuchPath }
                    return try await abort(String(parts[parts.count - 2]), context)
                },
            ])
    }

    /// The path behind `/v1/models/`.
    private static func rest(of request: Request) -> String {
        let raw = String(request.uri.path.dropFirst("/v1/models/".count))
        return raw.removingPercentEncoding ?? raw
    }

    private func model(_ id: String) async throws(APIError) -> ModelDescription {
        let models = await generator.models
        guard let model = models.first(where: { $0.id == id }) else {
            throw APIError.noSuchModel(id, known: models.map(\.id))
        }
        return model
    }

    /// Launching a model that runs already gives its name; others are chosen at the start.
    @Sendable
    private func launchModel(_ request: Request, _ context: GatewayContext) async throws -> Response
    {
        var request = request
        let fields = try RequestFields(
            json: try await request.readBody(upTo: configuration.maximumBodyBytes))
        guard let name = try fields.string("model_name") else {
            throw APIError(
                .badRequest, code: "missing_required_parameter", parameter: "model_name",
                "model_name is required: a string that names the model.")
        }
        return .json(["model_uid": try await model(name).id])
    }
}
