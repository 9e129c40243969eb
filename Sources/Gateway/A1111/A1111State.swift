// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Synchronization

/// The state of the AUTOMATIC1111 dialect between calls, which assumes one user.
///
/// Progress and interruption apply to the calls of this dialect alone, so that its users do not stop
/// those of other dialects.
final class A1111State: Sendable {
    private struct State {
        /// Request ids of calls in progress, oldest first.
        var calls: [String] = []
        /// The settings that were changed.
        var options: [String: JSONValue] = [:]
    }

    private let state = Mutex(State())

    /// Calls in progress, oldest first.
    var calls: [String] { state.withLock { $0.calls } }

    func begin(_ id: String) { state.withLock { $0.calls.append(id) } }

    func end(_ id: String) {
        state.withLock { state in
            if let index = state.calls.firstIndex(of: id) { state.calls.remove(at: index) }
        }
    }

    /// Settings that clients changed.
    var options: [String: JSONValue] {
        get { state.withLock { $0.options } }
        set { state.withLock { $0.options = newValue } }
    }
}
