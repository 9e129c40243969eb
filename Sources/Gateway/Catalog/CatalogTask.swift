// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import Service
import Synchronization

/// Work on the files of a model: a pull, or packing its weights.
struct CatalogTask: Encodable, Sendable {
    enum Kind: String, Encodable { case pull, quantize }

    enum State: String, Encodable { case running, succeeded, failed, cancelled }

    let id: String
    var kind: Kind
    /// Name of the model's folder.
    var model: String
    /// The repository of a pull.
    var repository: String?
    var state = State.running
    /// Bytes that are downloaded, and of all files once they are known.
    var bytes = 0
    var totalBytes = 0
    var files = 0
    var totalFiles = 0
    /// The error of a failed task, or a remark.
    var message: String?
    /// Seconds since 1970.
    var created = Date.now.timeIntervalSince1970.rounded()

    private enum CodingKeys: String, CodingKey {
        case id, kind, model, repository, state, bytes, files, message, created
        case totalBytes = "total_bytes"
        case totalFiles = "total_files"
    }
}

/// The tasks that run, and the last of those that have ended.
final class CatalogTasks: Sendable {
    private struct Entry {
        var row: CatalogTask
        var work: Task<Void, Never>?
    }

    private static let runningLimit = 4
    private static let retainedLimit = 100
    private let entries = Mutex<[Entry]>([])

    /// Changes the row of a task.
    typealias Change = @Sendable ((inout CatalogTask) -> Void) -> Void

    /// All of them, the newest last.
    var rows: [CatalogTask] { entries.withLock { $0.map(\.row) } }

    /// One of them.
    subscript(id: String) -> CatalogTask? { rows.first { $0.id == id } }

    /// Whether something runs for a model.
    func isBusy(_ model: String) -> Bool {
        rows.contains { $0.model == model && $0.state == .running }
    }

    /// Starts a task.
    ///
    /// - Parameters:
    ///   - row: its description.
    ///   - work: the task itself; it updates its row.
    /// - Returns: the row.
    /// - Throws: `APIError` 409 while the model has another task, 429 while too many run.
    func start(
        _ row: CatalogTask,
        work: @escaping @Sendable (_ change: @escaping Change) async throws -> Void
    ) throws(APIError) -> CatalogTask {
        let refusal: APIError? = entries.withLock { entries in
            let running = entries.filter { $0.row.state == .running }
            if let other = running.first(where: { $0.row.model == row.model }) {
                return APIError(
                    .conflict, code: "model_busy",
                    "The task \(other.row.id) works on the model '\(row.model)'; wait for it, or"
                        + " cancel it with DELETE /api/catalog-tasks/\(other.row.id).")
            }
            guard running.count < Self.runningLimit else {
                return APIError(
                    .tooManyRequests, type: "rate_limit_error", code: "too_many_tasks",
                    "\(running.count) tasks run already; wait for one of them.",
                    retryAfter: RetryAfter.catalogTasks)
            }
            let ended = entries.count - running.count
            if ended >= Self.retainedLimit,
                let oldest = entries.firstIndex(where: { $0.row.state != .running })
            {
                entries.remove(at: oldest)
            }
            entries.append(Entry(row: row, work: nil))
            return nil
        }
        if let refusal { throw refusal }
        let task = Task {
            do {
                try await work { self.change(row.id, $0) }
                self.end(row.id, .succeeded, nil)
            } catch  where Task.isCancelled || error is CancellationError {
                self.end(row.id, .cancelled, nil)
            } catch {
                self.end(row.id, .failed, "\(error)")
            }
        }
        entries.withLock { entries in
            guard let index = entries.firstIndex(where: { $0.row.id == row.id }) else { return }
            entries[index].work = task
        }
        return row
    }

    /// Cancels a task; downloaded files remain for the next attempt.
    ///
    /// - Returns: the row, or `nil` if there is no such task.
    func cancel(_ id: String) -> CatalogTask? {
        let entry = entries.withLock { $0.first { $0.row.id == id } }
        entry?.work?.cancel()
        return entry?.row
    }

    private func change(_ id: String, _ edit: (inout CatalogTask) -> Void) {
        entries.withLock { entries in
            guard let index = entries.firstIndex(where: { $0.row.id == id }) else { return }
            edit(&entries[index].row)
        }
    }

    private func end(_ id: String, _ state: CatalogTask.State, _ message: String?) {
        change(id) { row in
            row.state = state
            row.message = message ?? row.message
        }
    }
}
