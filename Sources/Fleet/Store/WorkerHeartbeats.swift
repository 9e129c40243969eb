// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Service

    /// The workers of a fleet with a recent heartbeat.
    package final class WorkerHeartbeats: Sendable {
        private let store: FleetStore
        private let copy: BucketCopy<WorkerHeartbeat>

        /// Follows the bucket for as long as this object lives.
        init(_ store: FleetStore) {
            self.store = store
            copy = BucketCopy(store.workers)
        }

        /// Workers with a recent heartbeat, by name.
        package var all: [WorkerHeartbeat] {
            let oldest = ContinuousClock.now - .seconds(store.settings.presenceAge)
            // A server that restarts reports nothing: the age counts from the last heartbeat before.
            if store.connection.isUp { copy.removeAll { $0.seen <= oldest } }
            return copy.all.map(\.value).sorted { $0.name < $1.name }
        }

        /// Other workers of a model.
        func others(than name: String, of model: String) -> [WorkerHeartbeat] {
            all.filter { $0.name != name && $0.status.model?.id == model }
        }
    }
#endif
