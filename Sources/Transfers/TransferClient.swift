// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// An HTTP/1.1 client over the system's libcurl: one thread, one pool of connections.
///
/// A request is sent once: there are no retries, not even on a kept connection that the server has
/// closed in the meantime. Bodies are passed on as they come, without decompression.
package final class TransferClient: Sendable {
    /// What holds for all transfers.
    package struct Settings: Sendable {
        /// Most connections to one host; further transfers wait for one.
        package var connectionLimit = 8
        /// How long an unused connection is used again.
        package var connectionAge = Duration.seconds(30)
        /// Whether `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` are followed; this
        /// machine is never asked through a proxy.
        package var usesEnvironmentProxies = true
        /// A file of trusted certificates; the system's if `nil`.
        ///
        /// The default is what the environment names with `SSL_CERT_FILE`.
        package var certificates = ProcessInfo.processInfo.environment["SSL_CERT_FILE"]

        /// The settings of a client that downloads.
        package init() {}
    }

    private let loop: TransferLoop

    /// Starts a client.
    package init(_ settings: Settings = Settings()) { loop = TransferLoop(settings) }

    deinit { loop.post(.stop) }

    /// Ends all transfers, closes all connections and waits until that is done.
    package func shutDown() async { await loop.stop() }

    /// Connections that are open.
    package var connectionCount: Int { loop.sockets.count }

    /// Returns the most connections that were open at once since the last call.
    package func takeMostConnections() -> Int { loop.sockets.takeMost() }

    /// Starts a transfer that reports to a delegate.
    package func start(_ request: TransferRequest, delegate: any TransferDelegate) -> Transfer {
        let transfer = Transfer(request, delegate: delegate, loop: loop)
        loop.post(.start(transfer))
        return transfer
    }

    /// Sends a request and returns as soon as the head of the response is there.
    ///
    /// The body is read from the connection as fast as it is taken. A response that is released before
    /// its end, and a task that is cancelled, close the connection.
    ///
    /// - Throws: `TransferError`, or `CancellationError`.
    package func send(_ request: TransferRequest) async throws -> TransferResponse {
        let buffer = ResponseBuffer()
        let transfer = start(request, delegate: buffer)
        let body = TransferResponse.Body(buffer, transfer)
        let head = try await withTaskCancellationHandler {
            try await buffer.head()
        } onCancel: {
            transfer.cancel()
        }
        return TransferResponse(head: head, body: body)
    }

    /// Reports at intervals how late the client's thread runs a timer.
    package func watchLateness(
        every interval: Duration, _ report: @escaping @Sendable (Duration) -> Void
    ) -> LatenessWatch {
        let watch = LatenessWatch(interval: interval, report)
        loop.post(.watch(watch))
        return watch
    }
}
