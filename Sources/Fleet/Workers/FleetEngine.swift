// Part of Inkstone. Licence: see LICENSE.

package import Catalog
package import Engine
import Foundation
package import Service

/// What generates for a worker of a fleet: an engine in this process, or the workers of a gateway.
package struct FleetEngine: Sendable {
    /// Its model.
    package var model: ModelDescription
    /// Generates.
    package var generator: any ImageGenerating
    /// LoRA files that requests may name.
    package var loras: LoRARegistry
    /// ControlNets that requests may name.
    package var controlNets: ControlNetRegistry
    /// Jobs at once.
    package var capacity: Int
    /// Grows for as long as work goes on; `nil` where the pool watches its workers itself.
    package var heartbeat: (@Sendable () -> Int)?
    /// Its status.
    package var status: @Sendable () async -> WorkerStatus

    /// A generator of one model.
    package init(
        model: ModelDescription, generator: any ImageGenerating, loras: LoRARegistry,
        controlNets: ControlNetRegistry = ControlNetRegistry(), capacity: Int,
        heartbeat: (@Sendable () -> Int)? = nil,
        status: @escaping @Sendable () async -> WorkerStatus
    ) {
        self.model = model
        self.generator = generator
        self.loras = loras
        self.controlNets = controlNets
        self.capacity = capacity
        self.heartbeat = heartbeat
        self.status = status
    }

    /// An engine in this process.
    package init(
        _ engine: any LocalEngine, capacity: Int,
        status: @escaping @Sendable () async -> WorkerStatus
    ) {
        self.init(
            model: engine.description, generator: engine, loras: engine.loras,
            controlNets: engine.controlNets, capacity: capacity, heartbeat: { engine.heartbeat },
            status: status)
    }

    /// A model of a gateway's own workers.
    ///
    /// `capacity` is that of all its workers together.
    package init(
        _ model: ModelDescription, of pool: WorkerPool, loras: LoRARegistry,
        controlNets: ControlNetRegistry, capacity: Int
    ) {
        self.init(
            model: model, generator: pool, loras: loras, controlNets: controlNets,
            capacity: capacity
        ) {
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
            let devices = Set(workers.compactMap(\.device))
            sum.device = devices.count == 1 ? devices.first : nil
            sum.secondsPerPixel = workers.compactMap(\.secondsPerPixel).min()
            return sum
        }
    }
}
