// Part of Inkstone. Licence: see LICENSE.

package import Engine

/// A launched model, for whoever lists and measures.
package struct ModelReport: Sendable {
    /// Name for requests.
    package var id: String
    /// The model, once it was loaded.
    package var model: ModelDescription?
    /// Bytes that are set aside for it.
    package var reservedBytes: Int
    /// Its workers.
    package var replicas: [ReplicaReport]
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
    /// Requests that the pool has given it.
    package var requests: Int
    /// What the worker says of itself, if it answers.
    package var status: WorkerStatus?
}
