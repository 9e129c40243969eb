// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import GRDB
import ModelFiles
package import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Jobs as rows of an SQLite database, and their images as files beside it.
///
/// A job that was accepted survives the end of the process, however it ends.
public final class JobStore: Sendable {
    /// The data folder.
    public let folder: URL
    /// The image files.
    package let files: ImageFiles
    let database: DatabasePool
    /// Number of the newest job that an earlier process has left.
    let newestEarlier: Int64
    /// Ends of jobs that are not written yet; they count in every query.
    let unwrittenEnds = Mutex<[String: JobEnd]>([:])
    /// Called at the moments of ``Failpoint`` while nothing else changes rows and files.
    package let failpoint = Mutex<(@Sendable (Failpoint) throws -> Void)?>(nil)
    /// Keeps other servers out of the folder.
    private let lock: FileLock
    /// The damaged database that was set aside when the store was opened, if one was.
    public let setAside: URL?
    /// A sentence for each file that other users of the machine can read.
    public let warnings: [String]

    /// Opens the store in a folder, which is made if it is missing.
    ///
    /// A damaged database is renamed and a new one begun: the service continues, and the old one can
    /// be examined.
    ///
    /// - Throws: `JobStoreError` of code `unusable`, `inUse` or `newer`.
    public init(folder: URL) throws {
        self.folder = folder
        do {
            warnings = try DataFolder.open(folder)
        } catch {
            throw JobStoreError(
                code: .unusable,
                message: "The data folder '\(folder.path)' cannot be made: check that its parent"
                    + " may be written to, or name another with --data.")
        }
        lock = try Self.lock(folder)
        files = try ImageFiles(folder: folder.appending(path: "pictures"))
        let url = folder.appending(path: "jobs.sqlite")
        let database: DatabasePool
        var setAside: URL?
        do {
            database = try Self.open(url)
        } catch let error as DatabaseError
            where [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode)
        {
            setAside = try Self.setAside(url)
            database = try Self.open(url)
        } catch let error as DatabaseError {
            throw JobStoreError(
                code: .unusable,
                message:
                    "The job database '\(url.path)' cannot be opened: \(error.message ?? "no reason given");"
                    + " check the folder's permissions and room, or name another with --data.")
        }
        self.setAside = setAside
        self.database = database
        newestEarlier = try database.read {
            try Int64.fetchOne($0, sql: "SELECT MAX(number) FROM job") ?? 0
        }
    }

    private static func lock(_ folder: URL) throws(JobStoreError) -> FileLock {
        do {
            return try FileLock(folder.appending(path: "lock"), timeout: 2)
        } catch .unusable(let number) {
            throw JobStoreError(
                code: .unusable,
                message: "The data folder '\(folder.path)' cannot be written to:"
                    + " \(String(cString: strerror(number))); name another with --data.")
        } catch {
            throw JobStoreError(
                code: .inUse,
                message: "Another server uses the data folder '\(folder.path)'; stop it, or name"
                    + " another folder with --data.")
        }
    }

    private static func open(_ url: URL) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { db in
            // A commit survives the end of the process; only a power cut may undo the last ones.
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            // Rows are small: 2 MB of pages for each connection would look like a leak for hours.
            try db.execute(sql: "PRAGMA cache_size = -256")
        }
        // SQLite gives its other files the mode of this one.
        DataFolder.makeFile(url)
        let database = try DatabasePool(path: url.path, configuration: configuration)
        let damage = try database.read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
        if let damage, damage != "ok" {
            try database.close()
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: damage)
        }
        let migrator = JobSchema.migrator
        if try database.read(migrator.hasBeenSuperseded) {
            throw JobStoreError(
                code: .newer,
                message:
                    "The job database '\(url.path)' was written by a newer version of Inkstone;"
                    + " run that version, or name another data folder with --data.")
        }
        try migrator.migrate(database)
        return database
    }

    private static func setAside(_ url: URL) throws -> URL {
        let stamp = Int(Date().timeIntervalSince1970)
        let aside = url.deletingLastPathComponent()
            .appending(path: "jobs.damaged-\(stamp).sqlite")
        for suffix in ["", "-wal", "-shm"] {
            let part = URL(filePath: url.path + suffix)
            guard FileManager.default.fileExists(atPath: part.path) else { continue }
            try FileManager.default.moveItem(at: part, to: URL(filePath: aside.path + suffix))
        }
        return aside
    }

    // MARK: - Access

    /// A new job's id: `job-` and 20 letters and digits.
    package static func newID() -> String {
        let letters = Array("0123456789abcdefghijkmnpqrstuvwxyz")
        return "job-" + String((0..<20).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }

    /// A moment at which a test stops the store, or lets it fail.
    package enum Failpoint: Sendable {
        /// A transaction is about to begin.
        case transaction
    }

    /// Runs a transaction that may write.
    ///
    /// - Throws: `JobStoreError`.
    func write<Result: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Result
    ) async throws -> Result {
        do {
            return try await database.write { db in
                try self.failpoint.withLock { $0 }?(.transaction)
                return try body(db)
            }
        } catch let error as DatabaseError {
            throw Self.describe(error)
        }
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

    private static func describe(_ error: DatabaseError) -> JobStoreError {
        switch error.resultCode {
        case .SQLITE_FULL, .SQLITE_IOERR:
            JobStoreError(
                code: .full,
                message: "There is no room for the job on the disk; free some and try again.")
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
