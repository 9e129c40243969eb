// Part of Inkstone. Licence: see LICENSE.

import Foundation
import GRDB
import Imaging

extension JobStore {
    /// Whether an error means that the disk is full or cannot be written.
    static func isFull(_ error: any Error) -> Bool {
        switch error {
        case let error as DatabaseError:
            [.SQLITE_FULL, .SQLITE_IOERR, .SQLITE_READONLY].contains(error.resultCode)
        case let error as JobStoreError: error.code == .full
        case let error as ImagingError: error.code == .diskFull
        default: false
        }
    }

    /// Whether an error says that another program locks the database.
    static func isLocked(_ error: any Error) -> Bool {
        (error as? JobStoreError)?.code == .locked
    }

    /// Whether the cause of an error may be gone after a while.
    static func isTransient(_ error: any Error) -> Bool { isFull(error) || isLocked(error) }

    /// Whether there is space for new jobs: where the last write found none, it is tested at most once a
    /// second.
    package func hasSpace() async -> Bool {
        guard space.isFull, space.beginTest() else { return !space.isFull }
        return await testSpace()
    }

    /// Tests whether there is space again after a write found none: for the reserve, and for a transaction.
    package func testSpace() async -> Bool {
        guard space.isFull else { return true }
        do {
            try await exclusively { db in
                try self.space.makeReserve()
                try self.transaction(db) {
                    // Writes a page of the database without a change.
                    let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
                    try db.execute(sql: "PRAGMA user_version = \(version)")
                }
            }
            space.setFull(false)
        } catch {
            space.setFull(true)
        }
        return !space.isFull
    }

    /// Runs a transaction within `exclusively` that has to succeed on a full disk as well, since it frees
    /// space or ends a job.
    ///
    /// - Parameters:
    ///   - db: The database.
    ///   - makeRoom: Frees space where the reserve is not enough.
    ///   - body: Changes rows.
    /// - Returns: The value of `body`.
    /// - Throws: `DatabaseError`, or what else `body` throws.
    func essentialTransaction<Result>(
        _ db: Database, makeRoom: () throws -> Void = {}, _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try transaction(db, body)
        } catch  where Self.isFull(error) {
            space.setFull(true)
        }
        space.releaseReserve()
        // The log is written from its beginning again: it needs no further space for that.
        _ = try? db.checkpoint(.restart)
        do {
            return try transaction(db, body)
        } catch  where Self.isFull(error) {
            try makeRoom()
        }
        return try transaction(db, body)
    }

    /// Returns free pages of the database file to the file system.
    ///
    /// - Throws: `JobStoreError`.
    package func shrink() async throws {
        try await exclusively { db in
            let free = try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
            // A few are left for the next rows.
            guard free > Self.sparePages else { return }
            try db.execute(sql: "PRAGMA incremental_vacuum(\(free - Self.sparePages / 2))")
            _ = try db.checkpoint(.restart)
        }
    }

    /// Free pages that the database file keeps: 1 MiB.
    private static let sparePages = 256

    /// Lets the database file of an earlier version shrink, which takes a copy of it; without space for
    /// that it is left to the next start.
    static func enableShrinking(_ database: DatabasePool, _ url: URL) throws {
        let (mode, bytes) = try database.read { db in
            (
                try Int.fetchOne(db, sql: "PRAGMA auto_vacuum"),
                try Int.fetchOne(
                    db,
                    sql: """
                        SELECT (page_count - freelist_count) * page_size
                        FROM pragma_page_count, pragma_freelist_count, pragma_page_size
                        """) ?? 0
            )
        }
        guard mode != incrementalVacuum else { return }
        // The copy is made in a temporary file and passes through the log.
        guard let free = StorageSpace.freeBytes(at: url.deletingLastPathComponent()),
            free > 3 * bytes + 1 << 20
        else { return }
        do {
            try database.barrierWriteWithoutTransaction { db in
                try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
                try db.execute(sql: "VACUUM")
                _ = try db.checkpoint(.truncate)
            }
        } catch let error as DatabaseError where isFull(error) {
            return
        }
    }

    /// The value of `PRAGMA auto_vacuum` of a file that shrinks on request.
    private static let incrementalVacuum = 2
}
