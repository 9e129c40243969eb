// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Service
import Synchronization

/// Brings what happens to a job to whoever listens: what happens within a moment is one message.
///
/// The embedded model does a step in 5 ms; a message for each event would cost as much as the steps.
package final class EventCourier: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var messages = 0
        var last: ContinuousClock.Instant?
        var hasPreview = false
        var isWaiting = false
    }

    private let state = Mutex(State())
    private let pause: Duration
    private let send: @Sendable (_ bytes: [UInt8], _ number: Int) -> Void

    /// - Parameters:
    ///   - pause: the least time between two messages.
    ///   - send: takes a message, and how many came before.
    package init(
        pause: Duration = .milliseconds(40),
        send: @escaping @Sendable (_ bytes: [UInt8], _ number: Int) -> Void
    ) {
        self.pause = pause
        self.send = send
    }

    /// Takes an event, and brings it at once or with those that follow it.
    package func tell(_ event: JobEvent) {
        guard let frame = try? EventBytes.encode(event) else { return }
        let now = ContinuousClock.now
        var isFirstPreview = false
        if case .preview = event { isFirstPreview = true }
        let wait: Duration? = state.withLock { state in
            state.bytes += frame
            // Somebody waits for the first one.
            isFirstPreview = isFirstPreview && !state.hasPreview
            if isFirstPreview { state.hasPreview = true }
            let rest = isFirstPreview ? .zero : pause - (state.last.map { now - $0 } ?? pause)
            if rest <= .zero {
                bring(&state, now)
                return nil
            }
            guard !state.isWaiting else { return nil }
            state.isWaiting = true
            return rest
        }
        guard let wait else { return }
        Task {
            try? await Task.sleep(for: wait)
            self.flush()
        }
    }

    /// Brings what is left.
    package func flush() {
        state.withLock { state in
            state.isWaiting = false
            if !state.bytes.isEmpty { bring(&state, .now) }
        }
    }

    // Within the lock, so that messages keep their order.
    private func bring(_ state: inout State, _ now: ContinuousClock.Instant) {
        send(state.bytes, state.messages)
        state.bytes = []
        state.messages += 1
        state.last = now
    }
}
