// Part of Inkstone. Licence: see LICENSE.

import NIOCore

/// Closes a connection whose request is not completed in time.
///
/// Otherwise a byte now and then would keep it open for ever. Confined to one event loop.
final class ReadingTimer {
    private let limit: TimeAmount
    private var closing: Scheduled<Void>?

    /// - Parameter limit: time within which a request must be received, from its first byte to its last.
    init(limit: Duration) {
        self.limit = .nanoseconds(Int64(limit / .nanoseconds(1)))
    }

    /// Starts the timer unless it runs.
    func start(_ channel: any Channel) {
        guard closing == nil else { return }
        closing = channel.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    /// Stops the timer: the request is complete.
    func stop() {
        closing?.cancel()
        closing = nil
    }
}
