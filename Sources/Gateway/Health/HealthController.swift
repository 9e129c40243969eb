// Part of Inkstone. Licence: see LICENSE.

import Engine
import Hummingbird
import Service

/// The answer of `/health` and `/readyz`.
private struct HealthReport: Encodable {
    /// `ok`, or the first of the reasons.
    var status: String
    /// Reasons why no request should be sent here now: `draining`, `keys_unreadable`, `loading`,
    /// `queue_unreachable`, `storage_full`, `queue_full`.
    var reasons: [String]
    var model: String?
    var precision: String?
    var kernels: String?
    /// Requests that wait.
    var queueDepth: Int
    /// Requests that run.
    var running: Int
    /// Requests that may run and wait together.
    var capacity: Int?
    var uptimeSeconds: Int
    var version: String

    private enum CodingKeys: String, CodingKey {
        case status, reasons, model, precision, kernels, running, capacity, version
        case queueDepth = "queue_depth"
        case uptimeSeconds = "uptime_seconds"
    }
}

/// Health and version, for supervisors and load balancers.
struct HealthController: Controller {
    let jobs: any JobQueue
    let keys: KeyStore?
    let meter: EngineMeter
    let state: ServiceState
    /// Requests that may run and wait together, if that is known.
    let capacity: Int?
    let version: String

    /// Adds the routes of health and version.
    ///
    /// `/livez` succeeds while the process runs; `/readyz` and `/health` while a model is loaded,
    /// the queue has a free place, the disk has space and the service is not about to stop.
    func addRoutes(to table: inout RouteTable) {
        table.add("/livez", [.get: .public { _, _ in .json(["status": "ok"]) }])
        let health: Handler = { _, _ in
            let report = await healthReport()
            let isReady = report.reasons.isEmpty
            var response = Response.json(report, status: isReady ? .ok : .serviceUnavailable)
            if !isReady {
                let isFull = report.reasons.contains("storage_full")
                response.headers[.retryAfter] = String(
                    isFull ? RetryAfter.storageFailed : meter.retryAfter)
            }
            return response
        }
        table.add("/readyz", [.get: .public(health)])
        table.add("/health", [.get: .public(health)])
        table.add(
            "/version",
            [.get: .public { _, _ in .json(["name": "inkstone", "version": version]) }])
    }

    private func healthReport() async -> HealthReport {
        let model = await jobs.models.first
        let (depth, running) = (meter.queueDepth, meter.running)
        var reasons: [String] = []
        if state.isDraining { reasons.append("draining") }
        if keys?.failure != nil { reasons.append("keys_unreadable") }
        if model == nil { reasons.append("loading") }
        if await !jobs.isReachable { reasons.append("queue_unreachable") }
        if await jobs.isStorageFull { reasons.append("storage_full") }
        if let capacity, depth + running >= capacity {
            reasons.append("queue_full")
        }
        return HealthReport(
            status: reasons.first ?? "ok", reasons: reasons, model: model?.id,
            precision: model?.precision, kernels: model?.kernels, queueDepth: depth,
            running: running, capacity: capacity,
            uptimeSeconds: Int(state.uptime.components.seconds),
            version: version)
    }
}
