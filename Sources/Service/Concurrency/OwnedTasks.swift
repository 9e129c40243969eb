// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// Tasks that are cancelled when their owner releases them.
package final class OwnedTasks: Sendable {
    private struct State {
        var tasks: [Int: Task<Void, Never>] = [:]
        /// Tasks that ended before they were stored.
        var ended: Set<Int> = []
        var next = 0
    }

    private let state = Mutex(State())

    /// No tasks.
    package init() {}

    deinit { cancelAll() }

    /// Starts a task; it must not keep its owner alive if it does not end on its own.
    package func start(_ body: @escaping @Sendable () async -> Void) {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        let task = Task { [weak self] in
            await body()
            self?.remove(number)
        }
        state.withLock { state in
            if state.ended.remove(number) == nil { state.tasks[number] = task }
        }
    }

    /// Cancels all tasks that run.
    package func cancelAll() {
        let tasks = state.withLock { state in
            defer { state.tasks = [:] }
            return state.tasks
        }
        for task in tasks.values { task.cancel() }
    }

    private func remove(_ number: Int) {
        state.withLock { state in
            if state.tasks.removeValue(forKey: number) == nil { state.ended.insert(number) }
        }
    }
}
