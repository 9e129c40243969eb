// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// Whether the service is about to stop.
final class ServiceState: Sendable {
    private let draining = Atomic(false)

    /// Whether it takes no more requests for pictures.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// Takes no more of them.
    func beginDraining() { draining.store(true, ordering: .relaxed) }
}
