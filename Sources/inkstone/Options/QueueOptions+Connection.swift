// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Fleet
    import Foundation
    import Logging

    extension QueueOptions {
        /// How long a NATS server that is starting is waited for.
        private static let timeout = Duration.seconds(60)

        /// Connects and opens the fleet's store; waits for a server that is starting.
        ///
        /// - Parameters:
        ///   - role: `gateway` or `worker`, for the server's list of connections.
        ///   - settings: of the fleet.
        ///   - logger: reports that the server is not reachable yet.
        /// - Returns: the fleet's store.
        /// - Throws: `CommandError`.
        func open(
            as role: String, _ settings: FleetSettings, _ logger: Logger
        ) async throws -> FleetStore {
            guard let queue else {
                throw CommandError(.usage, "--queue is missing; name the NATS server.")
            }
            var address = try NATSAddress(queue)
            address.credentials = queueCredentials
            address.authorities = queueCa
            address.certificate = queueCertificate
            address.key = queueKey
            let end = ContinuousClock.now + Self.timeout
            let name =
                "inkstone-\(role)-\(ProcessInfo.processInfo.hostName)"
                + "-\(ProcessInfo.processInfo.processIdentifier)"
            var isFirst = true
            while true {
                do {
                    return try await FleetStore(NATSConnection(address, name: name), settings)
                } catch let error as NATSError {
                    guard error.code == .unreachable || error.code == .notFound else {
                        throw CommandError(
                            error.code == .failed ? .failed : .usage,
                            "NATS at \(address.shown) refuses: \(error); check --queue, the"
                                + " credentials, and that JetStream is on.")
                    }
                    guard ContinuousClock.now < end else {
                        throw CommandError(
                            .busy,
                            "NATS at \(address.shown) cannot be reached: \(error); start it, or name"
                                + " another with --queue.")
                    }
                    if isFirst { logger.warning("waiting for NATS at \(address.shown)") }
                    isFirst = false
                    try await Task.sleep(for: .milliseconds(500))
                }
            }
        }
    }
#endif
