// Part of Inkstone. Licence: see LICENSE.

import Engine
package import Service

/// A worker's sign of life: what it is, what it has loaded, what it does.
package struct WorkerSign: Sendable, Codable, Equatable {
    /// Unique in the fleet: host, process and a random part.
    package var name: String
    package var host: String
    package var version: String
    package var status: WorkerStatus
    /// Jobs that it has, and jobs that it may have at once.
    package var jobs: Int
    package var capacity: Int
    /// LoRA files that requests may name.
    package var loras: [String]
    /// Jobs that it has finished, and jobs that it lost to others.
    package var finished: Int
    package var lost: Int
}
