// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// The state of the service that changes while it runs.
final class ServiceState: Sendable {
    /// When the service was created.
    private let start = ContinuousClock.now
    private let draining = Atomic(false)
    private let policies: Mutex<(OriginPolicy, AddressPolicy)>

    init(_ configuration: GatewayConfiguration) {
        policies = Mutex((OriginPolicy(configuration), AddressPolicy(configuration)))
    }

    /// Time since the service was created.
    var uptime: Duration { ContinuousClock.now - start }

    /// Whether new requests for images are refused.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// Refuses requests for images from now on.
    func beginDraining() { draining.store(true, ordering: .relaxed) }

    /// Hosts and web pages that may use the service.
    var originPolicy: OriginPolicy { policies.withLock { $0.0 } }

    /// The address under which clients reach the service.
    var addressPolicy: AddressPolicy { policies.withLock { $0.1 } }

    /// Replaces the policies of hosts, origins and addresses.
    func setPolicies(_ configuration: GatewayConfiguration) {
        policies.withLock { $0 = (OriginPolicy(configuration), AddressPolicy(configuration)) }
    }
}
