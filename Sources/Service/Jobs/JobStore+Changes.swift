// Part of Inkstone. Licence: see LICENSE.

package import Engine
package import Foundation
import GRDB
import Imaging
import Parameters

extension JobStore {
    /// Adds a queued job, or finds the one that has the same owner and idempotency key.
    ///
    /// A job that failed for a reason that may be gone loses its key to the new one.
    ///
    /// - Returns: the job, and whether it is new.
    /// - Throws: `JobStoreError` of code `keyReused`, `full` or `unusable`.
    package func insert(
        _ request: ImageRequest, model: String, _ submission: Submission
    ) async throws -> (job: Job, isNew: Bool) {
        let text = try JobRow.json(request)
        let source = try request.source.map {
            (
                image: Data(try ImageEncoder.encode($0.image)),
                mask: try $0.mask.map { Data(try ImageEncoder.encode($0)) }
            )
        }
        let now = Date()
        let id = Self.newID()
        let deadline = submission.seconds.map { now.timeIntervalSince1970 + $0 }
        let ends = ends
        return try await write { db in
            if let key = submission.idempotencyKey,
                let row = try Row.fetchOne(
                    db, sql: "SELECT * FROM job WHERE owner = ? AND idempotencyKey = ?",
                    arguments: [submission.owner ?? "", key])
            {
                guard row["fingerprint"] == submission.fingerprint else {
                    throw JobStoreError(
                        code: .keyReused,
                        message: "The idempotency key was used for a different request before;"
                            + " send a new key with a new request.")
                }
                let known = try JobRow.job(row, db, withSource: true).ended(ends[row["id"]])
                guard known.mayBeSubmittedAgain else { return (known, false) }
                // The key now stands for the next attempt.
                try db.execute(
                    sql: "UPDATE job SET idempotencyKey = NULL WHERE id = ?", arguments: [known.id])
            }
            try db.execute(
                sql: """
                    INSERT INTO job (id, model, request, prompt, state, requestID, owner,
                        idempotencyKey, fingerprint, created, deadline, detached)
                    VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    id, model, text, request.prompt, submission.requestID, submission.owner ?? "",
                    submission.idempotencyKey, submission.fingerprint, now.timeIntervalSince1970,
                    deadline, submission.outlivesItsCaller,
                ])
            if let source {
                try db.execute(
                    sql: "INSERT INTO source (job, image, mask) VALUES (?, ?, ?)",
                    arguments: [db.lastInsertedRowID, source.image, source.mask])
            }
            return (
                Job(
                    id: id, model: model, request: request, state: .queued,
                    requestID: submission.requestID, owner: submission.owner,
                    created: Date(timeIntervalSince1970: now.timeIntervalSince1970),
                    deadline: deadline.map(Date.init(timeIntervalSince1970:)), attempts: 0,
                    images: []), true
            )
        }
    }

    /// Records that a job has started.
    ///
    /// Returns whether there is such a job that is not final.
    @discardableResult
    package func start(_ id: String) async throws -> Bool {
        guard ends[id] == nil else { return false }
        return try await write { db in
            try db.execute(
                sql: """
                    UPDATE job SET state = 'running', started = ?, attempts = attempts + 1
                    WHERE id = ? AND state IN ('queued', 'running')
                    """, arguments: [Date().timeIntervalSince1970, id])
            return db.changesCount > 0
        }
    }

    /// Adds a finished image, whose file must be stored already.
    package func add(_ image: Job.Image, to id: String) async throws {
        let (seconds, loras) = (try JobRow.json(image.seconds), try JobRow.json(image.loras))
        try await write { db in
            try db.execute(
                sql: """
                    INSERT OR REPLACE INTO picture
                    SELECT number, ?, ?, ?, ?, ?, ?, ?, ? FROM job WHERE id = ?
                    """,
                arguments: [
                    image.index, String(image.seed), image.pixelDigest, image.file,
                    image.fileSize, image.promptTruncated, seconds, loras, id,
                ])
        }
    }

    /// Removes final jobs, and files that no other job has.
    ///
    /// Returns the number of removed jobs.
    package func remove(_ ids: [String]) async throws -> Int {
        // Ends that are not written yet.
        try await writeEnds()
        let (count, orphans) = try await write { db -> (Int, [String]) in
            var (count, candidates) = (0, Set<String>())
            for id in ids {
                let files = try String.fetchAll(
                    db,
                    sql: """
                        SELECT file FROM picture JOIN job ON job.number = picture.job
                        WHERE job.id = ? AND job.state NOT IN ('queued', 'running')
                        """, arguments: [id])
                try db.execute(
                    sql: "DELETE FROM job WHERE id = ? AND state NOT IN ('queued', 'running')",
                    arguments: [id])
                count += db.changesCount
                candidates.formUnion(files)
            }
            let orphans = try candidates.filter { file in
                try Row.fetchOne(
                    db, sql: "SELECT 1 FROM picture WHERE file = ?", arguments: [file]) == nil
            }
            return (count, Array(orphans))
        }
        for file in orphans { files.remove(file) }
        return count
    }

    /// Final jobs that are older than allowed, and the oldest of those whose images exceed the limit.
    package func expired(before date: Date?, imageBytes: Int) async throws -> [String] {
        try await read { db in
            var ids =
                try date.map {
                    try String.fetchAll(
                        db,
                        sql: "SELECT id FROM job WHERE finished < ? ORDER BY number",
                        arguments: [$0.timeIntervalSince1970])
                } ?? []
            let known = Set(ids)
            var total =
                try Int.fetchOne(db, sql: "SELECT SUM(fileSize) FROM picture") ?? 0
            guard total > imageBytes else { return ids }
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT job.id AS id, SUM(fileSize) AS bytes FROM picture
                    JOIN job ON job.number = picture.job
                    WHERE job.finished IS NOT NULL GROUP BY job.number ORDER BY job.number
                    """)
            while total > imageBytes, let row = try rows.next() {
                let (id, bytes): (String, Int) = (row["id"], row["bytes"])
                total -= bytes
                if !known.contains(id) { ids.append(id) }
            }
            return ids
        }
    }
}
