// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Service
import Synchronization

/// Publishes the events of a job; those that follow each other closely share a message.
///
/// The embedded model does a step in 5 ms; a message for each event would cost as much as the steps.
package final class EventPublisher: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var messages = 0
        var last: ContinuousClock.Instant?
        var hasPreview = false
        /// Publishes the events that wait.
        var timer: Task<Void, Never>?
    }

    private let state = Mutex(State())
    private let pause: Duration
    private let clock: any Clock<Duration>
    private let sendMessage: @Sendable (_ bytes: [UInt8], _ number: Int) -> Void

    /// - Parameters:
    ///   - pause: Least time between two messages.
    ///   - clock: Measures the pauses.
    ///   - send: Sends a message; receives the number of messages before it.
    package init(
        pause: Duration = .milliseconds(40), clock: any Clock<Duration> = ContinuousClock(),
        send: @escaping @Sendable (_ bytes: [UInt8], _ number: Int) -> Void
    ) {
        self.pause = pause
        self.clock = clock
        sendMessage = send
    }

    /// Publishes an event, at once or together with those that follow it.
    package func publish(_ event: JobEvent) {
        guard let frame = try? EventBytes.encode(event) else { return }
        let now = ContinuousClock.now
        var isFirstPreview = false
        if case .preview = event { isFirstPreview = true }
        state.withLock { state in
            state.bytes += frame
            // The client waits for the first one.
            isFirstPreview = isFirstPreview && !state.hasPreview
            if isFirstPreview { state.hasPreview = true }
            let rest = isFirstPreview ? .zero : pause - (state.last.map { now - $0 } ?? pause)
            if rest <= .zero {
                send(&state, now)
            } else if state.timer == nil {
                state.timer = Task { [clock] in
                    // Cancelled by a flush, which leaves nothing to do.
                    guard (try? await clock.sleep(for: rest)) != nil else { return }
                    self.flush()
                }
            }
        }
    }

    /// Publishes the events that wait.
    package func flush() {
        state.withLock { state in
            state.timer?.cancel()
            state.timer = nil
            if !state.bytes.isEmpty { send(&state, .now) }
        }
    }

    // Within the lock, so that messages keep their order.
    private func send(_ state: inout State, _ now: ContinuousClock.Instant) {
        sendMessage(state.bytes, state.messages)
        state.bytes = []
        state.messages += 1
        state.last = now
    }
}
