// Part of Inkstone. Licence: see LICENSE.

/// Calls an asynchronous function for ids that any thread reports, and owns the task that does so.
///
/// A reader that leaves is reported by a plain function; its job belongs to an actor.
package final class CancellationQueue: Sendable {
    private let ids: AsyncStream<String>.Continuation
    /// Ends when the queue is released, after the calls for the ids that it has.
    private let task: Task<Void, Never>

    /// A queue that calls `cancel` for each id; several calls may run at once.
    package init(_ cancel: @escaping @Sendable (_ id: String) async -> Void) {
        let (stream, ids) = AsyncStream<String>.makeStream()
        self.ids = ids
        task = Task {
            await withDiscardingTaskGroup { group in
                for await id in stream { group.addTask { await cancel(id) } }
            }
        }
    }

    deinit { ids.finish() }

    /// Adds an id.
    package func add(_ id: String) { ids.yield(id) }
}
