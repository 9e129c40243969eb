// Part of Inkstone. Licence: see LICENSE.

package import Engine
package import Parameters
package import Service

/// A worker's heartbeat: its name, what it has loaded, and its load.
package struct WorkerHeartbeat: Sendable, Codable, Equatable {
    /// Unique in the fleet: host, process and a random part.
    package var name: String
    package var host: String
    package var version: String
    package var status: WorkerStatus
    /// Jobs that it has, and jobs that it may have at once.
    package var jobs: Int
    package var capacity: Int
    /// LoRA files that requests may name.
    package var loras: [LoRAScale]
    /// Names of ControlNets that requests may use; absent in heartbeats of older versions, which fetch no controls.
    package var controlNets: [String]?
    /// Jobs that it has finished, and jobs that it lost to others.
    package var finished: Int
    package var lost: Int

    /// Whether it generates the same bytes as `origin` did.
    package func isAlike(_ origin: ImageOrigin) -> Bool {
        status.model.map {
            origin.isAlike(
                ImageOrigin(
                    device: status.device ?? "", kernels: $0.kernels, precision: $0.precision))
        } ?? false
    }

    /// Whether its machine has all of these LoRA files and ControlNets.
    package func has(_ names: Set<String>, controlNets nets: Set<String> = []) -> Bool {
        names.isSubset(of: loras.map(\.name)) && nets.isSubset(of: controlNets ?? [])
    }

    /// Whether it has all of them in memory and could begin at once.
    package func isReady(for names: Set<String>) -> Bool {
        status.state == .ready && jobs < capacity && names.isSubset(of: status.loadedLoRAs)
    }
}
