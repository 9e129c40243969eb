// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import GRDB
import Synchronization

extension JobStore {
    /// Sets a job's final state, unless it has one.
    ///
    /// An end that cannot be written is kept in memory, where it counts in every query, until `writeEnds`
    /// succeeds.
    package func finish(_ id: String, _ end: JobEnd) async throws {
        unwrittenEnds.withLock { $0[id] = $0[id] ?? end }
        try await writeEnds()
    }

    /// Ends that are not written yet, by the ids of their jobs.
    package var ends: [String: JobEnd] { unwrittenEnds.withLock { $0 } }

    /// Writes the ends that are in memory alone.
    package func writeEnds() async throws {
        let ends = ends
        guard !ends.isEmpty else { return }
        try await exclusively { db in
            try self.essentialTransaction(db) { try Self.write(ends, db) }
        }
        unwrittenEnds.withLock { all in for id in ends.keys { all[id] = nil } }
    }

    private static func write(_ ends: [String: JobEnd], _ db: Database) throws {
        for (id, end) in ends {
            try db.execute(
                sql: """
                    UPDATE job SET state = ?, finished = ?, failure = ?, failureCode = ?,
                        givenUp = ?
                    WHERE id = ? AND state IN ('queued', 'running')
                    """,
                arguments: [
                    end.state.rawValue, end.time.timeIntervalSince1970, end.failure,
                    end.code?.rawValue, end.isGivenUp, id,
                ])
        }
    }

    // MARK: - Between two processes

    /// Ends the jobs of an earlier process that nothing is gained by running again: those whose callers
    /// waited for them and are gone, and those that ran as often as they may when the process ended.
    ///
    /// - Parameter attempts: How often work on a job may begin.
    /// - Returns: How many were ended.
    /// - Throws: `JobStoreError`.
    package func endInterrupted(
        attempts: Int
    ) async throws -> (cancelled: Int, givenUp: Int) {
        let (newest, now) = (newestEarlier, Date().timeIntervalSince1970)
        return try await write { db in
            try db.execute(
                sql: """
                    UPDATE job SET state = 'cancelled', finished = ?, failure = ?, failureCode = ?
                    WHERE state IN ('queued', 'running') AND detached = 0 AND number <= ?
                    """,
                arguments: [
                    now,
                    "The server was restarted while the caller waited for this request; send it"
                        + " again.", GenerationError.Code.serverStopped.rawValue, newest,
                ])
            let cancelled = db.changesCount
            try db.execute(
                sql: """
                    UPDATE job SET state = 'failed', finished = ?, failureCode = ?, givenUp = 1,
                        failure = 'The server ended ' || attempts || ' times while it ran this'
                            || ' request, which may be the cause; change it, or try again later.'
                    WHERE state = 'running' AND attempts >= ? AND number <= ?
                    """,
                arguments: [now, GenerationError.Code.workerLost.rawValue, attempts, newest])
            return (cancelled, db.changesCount)
        }
    }

    /// Returns jobs that run to the queue, at the regular end of the process: the attempt does not count.
    package func returnToQueue(_ ids: [String]) async throws {
        guard !ids.isEmpty else { return }
        try await write { db in
            for id in ids {
                try db.execute(
                    sql: """
                        UPDATE job SET state = 'queued', attempts = max(0, attempts - 1)
                        WHERE id = ? AND state = 'running'
                        """, arguments: [id])
            }
        }
    }
}
