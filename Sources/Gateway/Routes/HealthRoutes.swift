// Part of Inkstone. Licence: see LICENSE.

import Engine
import Hummingbird

/// The state of the service as `/health` and `/readyz` tell it.
private struct HealthReport: Encodable {
    var status: String
    var model: String?
    var precision: String?
    var kernels: String?
    var uptimeSeconds: Int
    var version: String

    private enum CodingKeys: String, CodingKey {
        case status, model, precision, kernels, version
        case uptimeSeconds = "uptime_seconds"
    }
}

extension Gateway {
    /// Adds the routes that supervisors and balancers ask.
    ///
    /// `/livez` succeeds while the process runs, `/readyz` and `/health` while a model is loaded.
    func addHealthRoutes(to router: Router<GatewayContext>) {
        router.endpoint("/livez", [.get: { _, _ in .json(["status": "ok"]) }])
        let health: Handler = { _, _ in
            let model = await generator.models.first
            let report = HealthReport(
                status: model == nil ? "loading" : "ok", model: model?.id,
                precision: model?.precision, kernels: model?.kernels,
                uptimeSeconds: Int((ContinuousClock.now - startedAt).components.seconds),
                version: configuration.version)
            var response = Response.json(report, status: model == nil ? .serviceUnavailable : .ok)
            if model == nil { response.headers[.retryAfter] = String(pace.patience) }
            return response
        }
        router.endpoint("/readyz", [.get: health])
        router.endpoint("/health", [.get: health])
        router.endpoint(
            "/version",
            [.get: { _, _ in .json(["name": "inkstone", "version": configuration.version]) }])
    }
}
