// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Service

    /// The workers of a fleet that gave a sign of life lately.
    package final class WorkerSigns: Sendable {
        private let store: FleetStore
        private let copy: BucketCopy<WorkerSign>

        /// Follows the bucket for as long as this object lives.
        init(_ store: FleetStore) {
            self.store = store
            copy = BucketCopy(store.workers)
        }

        /// Workers that live, by name.
        package var all: [WorkerSign] {
            let oldest = ContinuousClock.now - .seconds(store.settings.presenceAge)
            // A server that restarts tells of nobody: silence counts from the last word before.
            if store.connection.isUp { copy.keep { $0.seen > oldest } }
            return copy.all.map(\.value).sorted { $0.name < $1.name }
        }

        /// Other workers of a model.
        func others(than name: String, of model: String) -> [WorkerSign] {
            all.filter { $0.name != name && $0.status.model?.id == model }
        }
    }
#endif
