// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// A value that is set once and that any number of tasks await.
package final class Promise<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiters: [Int: CheckedContinuation<Value?, Never>] = [:]
        var nextWaiter = 0
    }

    private let state = Mutex(State())

    /// A promise without a value.
    package init() {}

    /// The value, if it is set.
    package var current: Value? { state.withLock { $0.value } }

    /// Sets the value and resumes all waiters; only the first call has an effect.
    package func fulfil(_ value: Value) {
        let waiters = state.withLock { state in
            guard state.value == nil else {
                return [:] as [Int: CheckedContinuation<Value?, Never>]
            }
            state.value = value
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume(returning: value) }
    }

    /// Waits for the value.
    ///
    /// Returns `nil` if the task is cancelled before it is set.
    package func wait() async -> Value? {
        let number = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isOver, value) = state.withLock { state -> (Bool, Value?) in
                    if state.value == nil, !Task.isCancelled {
                        state.waiters[number] = continuation
                        return (false, nil)
                    }
                    return (true, state.value)
                }
                if isOver { continuation.resume(returning: value) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.resume(returning: nil)
        }
    }

    /// Waits for the value for a limited time.
    ///
    /// Returns `nil` if it is not set by then.
    package func wait(
        atMost limit: Duration, clock: any Clock<Duration> = ContinuousClock()
    ) async -> Value? {
        if let current { return current }
        return await withTaskGroup(of: Value?.self) { group in
            group.addTask { await self.wait() }
            group.addTask {
                try? await clock.sleep(for: limit)
                return self.current
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}
