// Part of Inkstone. Licence: see LICENSE.

import Engine
import Hummingbird
import Service

/// The status of the service, for the page.
private struct StatusAnswer: Encodable {
    struct Model: Encodable {
        var id: String
        var name: String
        var precision: String?
        var kernels: String?
        var parameters: Int?
        var workers: [Worker]
    }

    struct Worker: Encodable {
        /// `ready`, `loading`, `draining`, or `down` while there is no process.
        var state: String
        var memoryBytes: Int?
        /// Memory of its GPU.
        var deviceBytes: Int?
        var deviceAvailableBytes: Int?
        var running: Int
        var restarts: Int

        private enum CodingKeys: String, CodingKey {
            case state, running, restarts
            case memoryBytes = "memory_bytes"
            case deviceBytes = "device_bytes"
            case deviceAvailableBytes = "device_available_bytes"
        }
    }

    var version: String
    var uptimeSeconds: Int
    var running: Int
    var waiting: Int
    var availableBytes: Int?
    var models: [Model]

    private enum CodingKeys: String, CodingKey {
        case version, running, waiting, models
        case uptimeSeconds = "uptime_seconds"
        case availableBytes = "available_bytes"
    }
}

extension PageController {
    /// `GET /api/status`: models with their workers, memory and queue.
    @Sendable
    func status(_: Request, _: GatewayContext) async -> Response {
        let progress = await requests.jobs.unfinished(for: .all).map(\.progress)
        let waiting = progress.count { $0.place != nil }
        return .json(
            StatusAnswer(
                version: version, uptimeSeconds: Int(state.uptime.components.seconds),
                running: progress.count - waiting, waiting: waiting,
                availableBytes: availableMemory(), models: await modelStates()))
    }

    /// Models in worker processes, including those that are loading; without workers, those of this process.
    private func modelStates() async -> [StatusAnswer.Model] {
        let reports = await reports?.report() ?? []
        guard reports.isEmpty else {
            return reports.map { report in
                StatusAnswer.Model(report.id, report.model, report.replicas.map(Self.worker))
            }
        }
        return await requests.models.map { StatusAnswer.Model($0.id, $0, []) }
    }

    private static func worker(_ replica: ReplicaReport) -> StatusAnswer.Worker {
        StatusAnswer.Worker(
            state: replica.status?.state.rawValue ?? "down",
            memoryBytes: replica.status?.memoryBytes,
            deviceBytes: replica.status?.deviceMemory?.totalBytes,
            deviceAvailableBytes: replica.status?.deviceMemory?.availableBytes,
            running: replica.status?.running ?? 0,
            restarts: replica.restarts)
    }
}

extension StatusAnswer.Model {
    fileprivate init(
        _ id: String, _ model: ModelDescription?, _ workers: [StatusAnswer.Worker]
    ) {
        self.init(
            id: id, name: model?.name ?? id, precision: model?.precision, kernels: model?.kernels,
            parameters: model?.parameterCount, workers: workers)
    }
}
