// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// What changes while the service runs.
final class ServiceState: Sendable {
    private let draining = Atomic(false)
    private let policy: Mutex<OriginPolicy>

    init(_ configuration: GatewayConfiguration) {
        policy = Mutex(OriginPolicy(configuration))
    }

    /// Whether it takes no more requests for pictures.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// Takes no more of them.
    func beginDraining() { draining.store(true, ordering: .relaxed) }

    /// Which hosts and web pages may talk to the service.
    var originPolicy: OriginPolicy { policy.withLock { $0 } }

    /// Lets others talk to it.
    func setOriginPolicy(_ changed: OriginPolicy) { policy.withLock { $0 = changed } }
}
