// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Foundation
import ModelFiles

/// Tokenizers and memory plans of launched models, read by this process so that a forecast does not
/// wait for a busy worker.
actor ForecasterCache {
    private var tasks: [URL: Task<RequestForecaster, any Error>] = [:]

    /// The forecaster of a model; read once, then kept.
    func forecaster(for launch: ModelLaunch) async throws -> RequestForecaster {
        let folder = launch.folder
        let task =
            tasks[folder]
            ?? Task.detached {
                try await WorkThreads.disk.run {
                    let model = try ModelDirectory(url: folder)
                    return try RequestForecaster(
                        model: model,
                        precision: try launch.precision.resolved(
                            for: model, isOnGPU: launch.isOnGPU),
                        controlNetFolder: launch.controlNetFolder)
                }
            }
        tasks[folder] = task
        return try await task.value
    }
}

extension WorkerPool: RequestForecasting {
    /// What a request will take, or `nil` where its model is not launched.
    package func forecast(
        of request: ImageRequest, model: String
    ) async throws -> RequestForecast? {
        guard let entry = served.first(where: { $0.id == model }) else { return nil }
        var forecast = try await forecasters.forecaster(for: entry.launch).forecast(of: request)
        forecast.deviceMemory = entry.deviceMemory
        return forecast
    }
}

extension WorkerPool {
    /// Remembers the memory of a model's devices for its forecasts.
    func record(_ replicas: [ReplicaReport], of serial: Int) {
        guard let index = served.firstIndex(where: { $0.serial == serial }) else { return }
        served[index].deviceMemory = replicas.compactMap(\.status?.deviceMemory)
            .min { $0.availableBytes < $1.availableBytes }
    }
}

/// Reports on models that run in separate processes.
package protocol ModelReporting: Sendable {
    /// What is launched, asked of all workers.
    func report() async -> [ModelReport]
}

extension WorkerPool: ModelReporting {}
