// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Foundation
package import Service

/// What draws for a worker of a fleet: an engine in this process, or the workers of a gateway.
package struct FleetEngine: Sendable {
    /// The one model that it draws.
    package var model: ModelDescription
    /// Draws.
    package var generator: any ImageGenerating
    /// LoRA files that requests may name.
    package var loras: LoRARegistry
    /// Jobs at once.
    package var capacity: Int
    /// Grows for as long as work goes on; `nil` where somebody else watches that.
    package var pulse: (@Sendable () -> Int)?
    /// What it says of itself.
    package var status: @Sendable () async -> WorkerStatus

    /// An engine in this process.
    package init(
        _ engine: InferenceEngine, capacity: Int,
        status: @escaping @Sendable () async -> WorkerStatus
    ) {
        model = engine.description
        generator = engine
        loras = engine.loras
        self.capacity = capacity
        pulse = { engine.pulse }
        self.status = status
    }

    /// A model of a gateway's own workers.
    ///
    /// `capacity` is that of all its workers together.
    package init(
        _ model: ModelDescription, of pool: WorkerPool, loras: LoRARegistry, capacity: Int
    ) {
        self.model = model
        generator = pool
        self.loras = loras
        self.capacity = capacity
        status = {
            let report = await pool.report().first { $0.id == model.id }
            let workers = report?.replicas.compactMap(\.status) ?? []
            var sum = WorkerStatus(
                state: workers.contains { $0.state == .ready } ? .ready : .loading,
                pid: ProcessInfo.processInfo.processIdentifier,
                loaded: workers.map(\.loaded).max() ?? 0,
                memoryBytes: workers.reduce(0) { $0 + $1.memoryBytes },
                running: workers.reduce(0) { $0 + $1.running },
                waiting: workers.reduce(0) { $0 + $1.waiting }, passes: PassTotals())
            for worker in workers { sum.passes.add(worker.passes) }
            sum.loadedLoRAs = Set(workers.flatMap(\.loadedLoRAs)).sorted()
            sum.model = model
            return sum
        }
    }
}
