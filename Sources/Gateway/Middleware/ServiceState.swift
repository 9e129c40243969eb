// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// The state of the service that changes while it runs.
final class ServiceState: Sendable {
    /// When the service was created.
    private let start = ContinuousClock.now
    private let draining = Atomic(false)
    private let policy: Mutex<OriginPolicy>

    init(_ configuration: GatewayConfiguration) {
        policy = Mutex(OriginPolicy(configuration))
    }

    /// Time since the service was created.
    var uptime: Duration { ContinuousClock.now - start }

    /// Whether new requests for images are refused.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// Refuses requests for images from now on.
    func beginDraining() { draining.store(true, ordering: .relaxed) }

    /// Hosts and web pages that may use the service.
    var originPolicy: OriginPolicy { policy.withLock { $0 } }

    /// Replaces the policy of hosts and origins.
    func setOriginPolicy(_ changed: OriginPolicy) { policy.withLock { $0 = changed } }
}
