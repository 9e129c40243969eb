// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// Wakes all tasks that wait for a change of some state.
///
/// A task takes `next`, looks at the state, and waits for `next` if the state is not as it needs it; a
/// change between the two is not missed.
package final class ChangeSignal: Sendable {
    private let promise = Mutex(Promise<Void>())

    /// A signal without waiters.
    package init() {}

    /// Set at the next change.
    package var next: Promise<Void> { promise.withLock { $0 } }

    /// Reports a change.
    package func notify() {
        let promise = promise.withLock { promise in
            defer { promise = Promise() }
            return promise
        }
        promise.fulfil(())
    }
}
