// Part of Inkstone. Licence: see LICENSE.

import GRDB
import Imaging
import Synchronization

extension JobStore {
    /// A moment at which a test stops the store, or lets it fail.
    package enum Failpoint: Sendable {
        /// A transaction is about to begin.
        case transaction
        /// Files are stored whose rows are not.
        case filesStored
        /// Rows are removed whose files are not.
        case rowsRemoved
    }

    /// Calls the function that a test has set, if any.
    func reach(_ point: Failpoint) throws {
        try failpoint.withLock { $0 }?(point)
    }

    /// Runs a closure during which nothing else changes rows and files.
    ///
    /// - Throws: `JobStoreError`, or what else `body` throws.
    func exclusively<Result: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Result
    ) async throws -> Result {
        do {
            return try await database.writeWithoutTransaction(body)
        } catch {
            if Self.isFull(error) { space.setFull(true) }
            throw (error as? DatabaseError).map(Self.describe) ?? error
        }
    }

    /// Runs a transaction that may write.
    ///
    /// - Throws: `JobStoreError`, or what else `body` throws.
    func write<Result: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Result
    ) async throws -> Result {
        try await exclusively { db in try self.transaction(db) { try body(db) } }
    }

    /// Runs a transaction that reads.
    ///
    /// - Throws: `JobStoreError`.
    func read<Result: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Result
    ) async throws -> Result {
        do {
            return try await database.read(body)
        } catch let error as DatabaseError {
            throw Self.describe(error)
        }
    }

    /// Runs a transaction within `exclusively`.
    func transaction<Result>(_ db: Database, _ body: () throws -> Result) throws -> Result {
        try reach(.transaction)
        var result: Result?
        try db.inTransaction {
            result = try body()
            return .commit
        }
        guard let result else { throw DatabaseError(resultCode: .SQLITE_ABORT) }
        return result
    }

    /// Runs a transaction within `exclusively` that adds a row, and stores the files that the row refers to.
    ///
    /// Files that were not stored before are removed when the transaction fails.
    func transaction<Result>(
        _ db: Database, storing files: [StagedFile], _ body: () throws -> Result
    ) throws -> Result {
        var added: [StagedFile] = []
        do {
            return try transaction(db) {
                for file in files where try file.commit() { added.append(file) }
                if !files.isEmpty { try reach(.filesStored) }
                return try body()
            }
        } catch {
            for file in added { file.remove() }
            throw error
        }
    }

    /// The error that callers of the store receive.
    static func describe(_ error: DatabaseError) -> JobStoreError {
        switch error.resultCode {
        case .SQLITE_FULL, .SQLITE_IOERR:
            JobStoreError(code: .full, message: StorageSpace.refusal)
        case .SQLITE_READONLY:
            JobStoreError(
                code: .full,
                message: "The job database cannot be written to; check the permissions of its"
                    + " folder.")
        case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_PROTOCOL:
            JobStoreError(
                code: .locked,
                message: "Another program locks the job database; end that program, or try again in"
                    + " a moment.")
        default:
            JobStoreError(
                code: .unusable,
                message: "The job database failed: \(error.message ?? "no reason given").")
        }
    }
}
