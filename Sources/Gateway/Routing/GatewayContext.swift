// Part of Inkstone. Licence: see LICENSE.

import Hummingbird
import Logging
import NIOCore
import Service

/// The state of one request that middleware and routes share.
struct GatewayContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection of the request.
    let channel: any Channel
    /// The connection of the request, or `nil` if there is no socket, as in tests.
    var connection: Connection?
    /// What the access log and the metrics will say about the request; set by the outermost middleware.
    var record: HTTPRequestRecord?
    /// The address under which the client reached the service; set by the outer middleware.
    var address = ServiceAddress(
        scheme: "http", host: .loopback, port: nil, prefix: "", isStated: false)
    /// How the request was admitted to its route; set by `KeyCheck`.
    var admission = Admission.unchecked

    /// Name of the request in the answer's `x-request-id` and on every log line.
    var requestID: String { record?.requestID ?? "" }

    init(source: Source) {
        self.coreContext = .init(source: source)
        self.channel = source.channel
    }
}

extension GatewayContext {
    /// Runs an operation that is cancelled when the client disconnects.
    ///
    /// - Throws: what the operation throws, or `CancellationError`.
    func cancellingOnDisconnect<Value: Sendable>(
        _ operation: () async throws -> Value
    ) async throws -> Value {
        guard let connection else { return try await operation() }
        return try await connection.cancellingOnClose(operation)
    }
}
