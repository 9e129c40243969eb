// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Service
    import Synchronization

    #if canImport(FoundationEssentials)
        import FoundationEssentials
    #else
        import Foundation
    #endif

    /// The workers of a fleet that gave a sign of life lately.
    package final class WorkerSigns: Sendable {
        private let store: FleetStore
        private let state = Mutex<[String: (sign: WorkerSign, seen: ContinuousClock.Instant)]>([:])

        /// Follows the bucket for as long as this object lives.
        init(_ store: FleetStore) {
            self.store = store
            Task { [weak self] in
                for await change in store.workers.changes() {
                    guard let self else { break }
                    note(change)
                }
            }
        }

        private func note(_ change: Bucket.Change) {
            state.withLock { state in
                switch change {
                case .value(let key, let bytes, _):
                    // Of another version: what cannot be read is left out.
                    guard let sign = try? JSONDecoder().decode(WorkerSign.self, from: Data(bytes))
                    else { return }
                    state[key] = (sign, .now)
                case .removed(let key): state[key] = nil
                case .caughtUp: break
                }
            }
        }

        /// Workers that live, by name.
        package var all: [WorkerSign] {
            let oldest = ContinuousClock.now - .seconds(store.settings.presenceAge)
            return state.withLock { state in
                // A server that restarts tells of nobody: silence counts from the last word before.
                if store.connection.isUp { state = state.filter { $0.value.seen > oldest } }
                return state.values.map(\.sign)
            }.sorted { $0.name < $1.name }
        }

        /// Other workers of a model.
        func others(than name: String, of model: String) -> [WorkerSign] {
            all.filter { $0.name != name && $0.status.model?.id == model }
        }
    }
#endif
