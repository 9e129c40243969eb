// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Synchronization

/// The state of the AUTOMATIC1111 dialect between calls, which assumes one user: each API key has its own.
///
/// Progress and interruption apply to the calls of this dialect alone, so that its users do not stop
/// those of other dialects.
package final class A1111State: Sendable {
    /// A call in progress.
    package struct Call: Sendable, Equatable {
        fileprivate let number: Int
        /// The id under which the client knows the call.
        package let task: String
        /// Its job, once it is accepted.
        package fileprivate(set) var job: String?
        fileprivate var isInterrupted = false
    }

    private struct User {
        /// Calls in progress, oldest first.
        var calls: [Call] = []
        /// The settings that were changed.
        var options: [String: JSONValue] = [:]

        var isEmpty: Bool { calls.isEmpty && options.isEmpty }
    }

    private struct State {
        var nextNumber = 0
        /// Users by the ids of their keys; `nil` is the one of a service without keys.
        var users: [String?: User] = [:]

        mutating func change<Value>(
            _ owner: String?, _ body: (inout User) -> Value
        ) -> Value {
            var user = users[owner, default: User()]
            defer { users[owner] = user.isEmpty ? nil : user }
            return body(&user)
        }
    }

    private let state = Mutex(State())

    package init() {}

    /// A user's calls in progress, oldest first.
    package func calls(of owner: String?) -> [Call] {
        state.withLock { $0.users[owner]?.calls ?? [] }
    }

    /// Adds a call that is not accepted yet.
    package func begin(_ task: String, of owner: String?) -> Call {
        state.withLock { state in
            let call = Call(number: state.nextNumber, task: task)
            state.nextNumber += 1
            state.change(owner) { $0.calls.append(call) }
            return call
        }
    }

    /// Records the job of a call.
    ///
    /// - Returns: Whether the call was interrupted before it was accepted.
    package func accept(_ call: Call, of owner: String?, as job: String) -> Bool {
        state.withLock { state in
            state.change(owner) { user in
                guard let index = user.calls.firstIndex(where: { $0.number == call.number })
                else { return false }
                user.calls[index].job = job
                return user.calls[index].isInterrupted
            }
        }
    }

    /// Interrupts a user's calls.
    ///
    /// - Returns: The jobs to cancel; calls that are not accepted yet are cancelled by `accept`'s caller.
    package func interrupt(_ owner: String?) -> [String] {
        state.withLock { state in
            state.change(owner) { user in
                for index in user.calls.indices { user.calls[index].isInterrupted = true }
                return user.calls.compactMap(\.job)
            }
        }
    }

    /// Removes a call that has ended.
    package func end(_ call: Call, of owner: String?) {
        state.withLock { state in
            state.change(owner) { $0.calls.removeAll { $0.number == call.number } }
        }
    }

    /// The settings that a user changed.
    func options(of owner: String?) -> [String: JSONValue] {
        state.withLock { $0.users[owner]?.options ?? [:] }
    }

    /// Changes a user's settings.
    func setOptions(_ options: [String: JSONValue], of owner: String?) {
        state.withLock { state in
            state.change(owner) { $0.options.merge(options) { $1 } }
        }
    }
}
