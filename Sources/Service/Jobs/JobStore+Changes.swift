// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Foundation
import GRDB
import Parameters
import Synchronization

extension JobStore {
    /// Adds a queued job with the files of its source image, or finds the one that has the same owner and
    /// idempotency key.
    ///
    /// A job that failed for a reason that may be gone loses its key to the new one.
    ///
    /// - Returns: the job, and whether it is new.
    /// - Throws: `JobStoreError` of code `keyReused`, `full` or `unusable`.
    package func insert(
        _ request: ImageRequest, model: String, _ submission: Submission
    ) async throws -> (job: Job, isNew: Bool) {
        let text = try JobRow.json(request)
        let source = try await stage(request.source)
        let now = Date().timeIntervalSince1970
        let job = Job(
            id: Self.newID(), model: model, request: request.with(source: nil),
            source: source?.source,
            state: .queued, requestID: submission.requestID, owner: submission.owner,
            created: Date(timeIntervalSince1970: now),
            deadline: submission.seconds.map { Date(timeIntervalSince1970: now + $0) })
        storedBytes.withLock { $0? += source?.source.fileSize ?? 0 }
        let ends = ends
        return try await exclusively { db in
            let known = try Self.known(submission, db)?.ended(ends)
            if let known, !known.mayBeSubmittedAgain { return (known, false) }
            try self.transaction(db, storing: source?.files ?? []) {
                if let known {
                    // The key now stands for the next attempt.
                    try db.execute(
                        sql: "UPDATE job SET idempotencyKey = NULL WHERE id = ?",
                        arguments: [known.id])
                }
                try Self.insert(job, text, submission, db)
            }
            return (job, true)
        }
    }

    /// The job that a submission's idempotency key stands for, if there is one.
    package func known(_ submission: Submission) async throws -> Job? {
        let ends = ends
        let known = try await read { db in try Self.known(submission, db)?.ended(ends) }
        return known.flatMap { $0.mayBeSubmittedAgain ? nil : $0 }
    }

    /// The job of the same owner and idempotency key, if there is one.
    private static func known(_ submission: Submission, _ db: Database) throws -> Job? {
        guard let key = submission.idempotencyKey,
            let row = try Row.fetchOne(
                db, sql: "SELECT * FROM job WHERE owner = ? AND idempotencyKey = ?",
                arguments: [submission.owner ?? "", key])
        else { return nil }
        guard row["fingerprint"] == submission.fingerprint else {
            throw JobStoreError(
                code: .keyReused,
                message: "The idempotency key was used for a different request before;"
                    + " send a new key with a new request.")
        }
        return try JobRow.jobs([row], db).first
    }

    private static func insert(
        _ job: Job, _ request: String, _ submission: Submission, _ db: Database
    ) throws {
        try db.execute(
            sql: """
                INSERT INTO job (id, model, request, prompt, state, requestID, owner,
                    idempotencyKey, fingerprint, created, deadline, detached, sourceFile,
                    maskFile, sourceBytes)
                VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                job.id, job.model, request, job.request.prompt, job.requestID, job.owner ?? "",
                submission.idempotencyKey, submission.fingerprint,
                job.created.timeIntervalSince1970, job.deadline?.timeIntervalSince1970,
                submission.outlivesItsCaller, job.source?.image, job.source?.mask,
                job.source?.fileSize ?? 0,
            ])
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

    /// Stores the PNG file of a finished image, and its row.
    package func add(_ image: GeneratedImage, png: [UInt8], to id: String) async throws {
        let (seconds, loras) = (try JobRow.json(image.seconds), try JobRow.json(image.loras))
        let origin = try image.origin.map { try JobRow.json($0) }
        let file = try await staging { [files] in try files.stage(png) }
        storedBytes.withLock { $0? += file.size }
        try await exclusively { db in
            try self.transaction(db, storing: [file]) {
                try db.execute(
                    sql: """
                        INSERT OR REPLACE INTO picture
                        SELECT number, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0 FROM job WHERE id = ?
                        """,
                    arguments: [
                        image.index, String(image.seed), image.pixelDigest, file.name, file.size,
                        image.promptTruncated, seconds, loras, origin, id,
                    ])
            }
        }
    }
}
