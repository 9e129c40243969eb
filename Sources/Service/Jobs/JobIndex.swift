// Part of Inkstone. Licence: see LICENSE.

package import Engine

/// The unfinished jobs of a service: which wait, which run, and how many are being accepted.
///
/// A plain value without tasks, files or clocks; `JobService` acts on what it returns.
package struct JobIndex<Value: Sendable>: Sendable {
    private struct Entry {
        let value: Value
        let owner: String?
        var isRunning = false
    }

    private var entries: [String: Entry] = [:]
    private var waitingIDs = PriorityQueue<String>()
    /// Jobs that are being accepted.
    private var reserved = 0
    private var runningCount = 0

    /// An index without jobs.
    package init() {}

    /// Jobs that run, in no order.
    package var running: [Value] { entries.values.filter(\.isRunning).map(\.value) }

    /// Jobs that wait, the next one first.
    package var waiting: [Value] { waitingIDs.elements.compactMap { entries[$0]?.value } }

    /// The ids of all jobs.
    package var ids: [String] { Array(entries.keys) }

    /// The job of an id.
    package subscript(id: String) -> Value? { entries[id]?.value }

    /// The job of an id, if the access includes it.
    package func find(_ id: String, for access: JobAccess) -> Value? {
        guard let entry = entries[id], access.permits(entry.owner) else { return nil }
        return entry.value
    }

    /// The jobs of an access: those that run, and those that wait in the order in which they start.
    package func all(for access: JobAccess) -> [Value] {
        let running = entries.values.filter { $0.isRunning && access.permits($0.owner) }
        return running.map(\.value) + waitingIDs.elements.compactMap { find($0, for: access) }
    }

    // MARK: - Admission

    /// Reserves a place for a job that is being accepted; `release` frees it.
    ///
    /// - Parameter limit: Jobs that may be unfinished or reserved.
    /// - Returns: Whether there was a place.
    package mutating func reserve(limit: Int) -> Bool {
        guard entries.count + reserved < limit else { return false }
        reserved += 1
        return true
    }

    /// Frees a reserved place.
    package mutating func release() { reserved -= 1 }

    // MARK: - Changes

    /// Adds a job that waits.
    package mutating func insert(
        _ value: Value, id: String, owner: String? = nil, priority: Priority
    ) {
        guard entries[id] == nil else { return }
        entries[id] = Entry(value: value, owner: owner)
        waitingIDs.append(id, priority)
    }

    /// Starts the next job if fewer than `limit` run.
    package mutating func startNext(limit: Int) -> Value? {
        while runningCount < limit, let id = waitingIDs.popFirst() {
            guard let value = entries[id]?.value else { continue }
            entries[id]?.isRunning = true
            runningCount += 1
            return value
        }
        return nil
    }

    /// Takes a job out of the queue before it has started; it stays in the index.
    ///
    /// - Returns: The job, or `nil` where it does not wait.
    package mutating func withdraw(_ id: String) -> Value? {
        guard waitingIDs.removeAll(where: { $0 == id }) else { return nil }
        return entries[id]?.value
    }

    /// Removes a job that has ended.
    package mutating func remove(_ id: String) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        if entry.isRunning { runningCount -= 1 }
        waitingIDs.removeAll { $0 == id }
    }
}
