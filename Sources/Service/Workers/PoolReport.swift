// Part of Inkstone. Licence: see LICENSE.

package import Engine

/// A launched model with its workers, for lists and metrics.
package struct ModelReport: Sendable {
    /// Name for requests.
    package var id: String
    /// The model, once it was loaded.
    package var model: ModelDescription?
    /// Bytes of memory that are reserved for it.
    package var reservedBytes: Int
    /// Its workers.
    package var replicas: [ReplicaReport]

    package init(
        id: String, model: ModelDescription?, reservedBytes: Int, replicas: [ReplicaReport]
    ) {
        self.id = id
        self.model = model
        self.reservedBytes = reservedBytes
        self.replicas = replicas
    }
}

/// One place for a worker.
package struct ReplicaReport: Sendable {
    /// Model and number.
    package var name: String
    /// Where the worker listens, `nil` while there is none.
    package var address: String?
    /// Its process.
    package var pid: Int32?
    /// Workers that died and were replaced.
    package var restarts: Int
    /// Requests that the pool has assigned to it.
    package var requests: Int
    /// The worker's status, if it answers.
    package var status: WorkerStatus?

    package init(
        name: String, address: String?, pid: Int32?, restarts: Int, requests: Int,
        status: WorkerStatus?
    ) {
        self.name = name
        self.address = address
        self.pid = pid
        self.restarts = restarts
        self.requests = requests
        self.status = status
    }
}
