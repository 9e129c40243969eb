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
    var modelAbility = ["text2image"]
    var precision: String
    var defaults: ModelDescription.Defaults
    var limits: ModelDescription.Limits

    init(_ model: ModelDescription) {
        id = model.id
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
    }
}

private struct ModelList: Encodable {
    var object = "list"
    var data: [ModelRow]
}

extension Gateway {
    /// `GET /v1/models` and `GET /v1/models/{id}`, where an id may contain slashes.
    func addModelRoutes(to router: Router<GatewayContext>) {
        router.endpoint(
            "/v1/models",
            [.get: { _, _ in .json(ModelList(data: await generator.models.map(ModelRow.init))) }])
        router.endpoint(
            "/v1/models/**",
            [
                .get: { request, _ in
                    let raw = String(request.uri.path.dropFirst("/v1/models/".count))
                    let id = raw.removingPercentEncoding ?? raw
                    let models = await generator.models
                    guard let model = models.first(where: { $0.id == id }) else {
                        throw APIError.noSuchModel(id, known: models.map(\.id))
                    }
                    return .json(ModelRow(model))
                }
            ])
    }
}
