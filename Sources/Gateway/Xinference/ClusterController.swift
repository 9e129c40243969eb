// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Hummingbird
import ModelFiles
import Service

// The routes of Xinference's clients beside those of images and models.
//
// GET  /v1/cluster/auth                      whether a key is needed
// GET  /v1/requests/{id}/progress            how far the call of that request_id is
// GET  /status, /v1/address, /v1/cluster/info, /v1/cluster/version, /v1/cluster/devices

/// How far a call is.
private struct ProgressAnswer: Encodable {
    var progress: Double
    var elapsedSeconds: Double
    var etaSeconds: Double?

    private enum CodingKeys: String, CodingKey {
        case progress
        case elapsedSeconds = "elapsed_seconds"
        case etaSeconds = "eta_seconds"
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(progress, forKey: .progress)
        try fields.encode(elapsedSeconds, forKey: .elapsedSeconds)
        // Present even when unknown.
        try fields.encode(etaSeconds, forKey: .etaSeconds)
    }
}

/// A row of the cluster.
private struct NodeRow: Encodable {
    var nodeType: String
    var ipAddress: String
    var gpuCount = 0
    var gpuMemory = "0MiB"

    private enum CodingKeys: String, CodingKey {
        case nodeType = "node_type"
        case ipAddress = "ip_address"
        case gpuCount = "gpu_count"
        case gpuMemory = "gpu_vram_total"
    }
}

/// The service as Xinference's clients see it: a cluster of one node, and the progress of their requests.
struct ClusterController: Controller {
    let jobs: any JobQueue
    let pool: WorkerPool?
    let state: ServiceState
    let keys: KeyStore?
    /// The host that the service listens on.
    let host: String
    /// Host and port of the service.
    let address: String
    let version: String

    /// The routes in the comment above.
    func addRoutes(to table: inout RouteTable) {
        table.add(
            "/v1/cluster/auth",
            [.get: .public { _, _ in .json(["auth": keys?.isRequired == true]) }])
        table.add("/v1/requests/:id/progress", [.get: .owner(requestProgress)])
        table.add("/status", [.get: .key(status)])
        table.add("/v1/address", [.get: .key { _, _ in .json(address) }])
        table.add("/v1/cluster/info", [.get: .key { _, _ in .json(nodes) }])
        table.add(
            "/v1/cluster/version",
            [.get: .key { _, _ in .json(["version": version, "full-revisionid": version]) }])
        table.add("/v1/cluster/devices", [.get: .key { _, _ in .json(0) }])
        table.add("/v1/supervisor", [.get: .key { _, _ in .json(["supervisor_ip": address]) }])
    }

    private var nodes: [NodeRow] {
        ["Supervisor", "Worker"].map { NodeRow(nodeType: $0, ipAddress: host) }
    }

    @Sendable
    private func status(_: Request, _: GatewayContext) async -> Response {
        struct Status: Encodable {
            var uptime: Int
            var workers: [String: [String: String]]
        }
        var workers: [String: [String: String]] = [:]
        for worker in await pool?.report().flatMap(\.replicas) ?? [] {
            workers[worker.address ?? worker.name] = [
                "status": worker.status?.state.rawValue ?? "starting"
            ]
        }
        return .json(Status(uptime: Int(state.uptime / .seconds(1)), workers: workers))
    }

    @Sendable
    private func requestProgress(
        _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        let id = try context.parameters.require("id")
        guard let (job, progress) = try await jobs.job(id, for: context.access) else {
            throw APIError(
                .badRequest, code: "request_not_found",
                "There is no request with the id \(JSONValue.string(id).summary); it is the request_id that the call"
                    + " was made with, and ends with its job.")
        }
        let end = job.finished ?? Date()
        return .json(
            ProgressAnswer(
                progress: job.state.isFinal ? 1 : progress?.share ?? 0,
                elapsedSeconds: max(0, end.timeIntervalSince(job.started ?? job.created)),
                etaSeconds: job.state.isFinal ? 0 : progress?.secondsLeft))
    }
}
