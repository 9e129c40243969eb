// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import GRDB
import Imaging
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
    /// The files of finished images.
    package let files: ImageFiles
    /// The files of images that jobs start from.
    package let sources: ImageFiles
    /// The space on the disk.
    package let space: StorageSpace
    /// Bytes of images and sources at the last count and of those that were added since.
    let storedBytes = Mutex<Int?>(nil)
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
        space = StorageSpace(folder: folder)
        files = try ImageFiles(folder: folder.appending(path: "pictures"))
        sources = try ImageFiles(folder: folder.appending(path: "sources"))
        let url = folder.appending(path: "jobs.sqlite")
        let database: DatabasePool
        var setAside: URL?
        do {
            database = try Self.open(url, sources, space)
        } catch let error as DatabaseError
            where [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode)
        {
            setAside = try Self.setAside(url)
            database = try Self.open(url, sources, space)
        } catch let error as ImagingError {
            throw JobStoreError(
                code: error.code == .diskFull ? .full : .unusable,
                message: "The source images of the job database '\(url.path)' cannot be moved into"
                    + " files: \(error)")
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
        do { try space.makeReserve() } catch  where error.code == .diskFull {
            space.setFull(true)
        } catch {}
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

    private static func open(
        _ url: URL, _ sources: ImageFiles, _ space: StorageSpace
    ) throws -> DatabasePool {
        do {
            return try open(url, sources)
        } catch let error as DatabaseError
            where ![.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode)
        {
            // Opening needs some space too.
            guard space.releaseReserve() else { throw error }
            space.setFull(true)
            return try open(url, sources)
        }
    }

    private static func open(_ url: URL, _ sources: ImageFiles) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { db in
            // A commit survives the end of the process; only a power cut may undo the last ones.
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            // Rows are small: 2 MB of pages for each connection would look like a leak for hours.
            try db.execute(sql: "PRAGMA cache_size = -256")
            guard !db.configuration.readonly else { return }
            // A new file: removed rows do not leave it large. An old one is converted below.
            try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
            // Bytes of the log that remain on the disk between two uses.
            try db.execute(sql: "PRAGMA journal_size_limit = 1048576")
        }
        // SQLite gives its other files the mode of this one.
        DataFolder.makeFile(url)
        let database = try DatabasePool(path: url.path, configuration: configuration)
        do {
            try migrate(database, url, sources)
            return database
        } catch {
            try? database.close()
            throw error
        }
    }

    private static func migrate(
        _ database: DatabasePool, _ url: URL, _ sources: ImageFiles
    ) throws {
        let damage = try database.read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
        if let damage, damage != "ok" {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: damage)
        }
        let migrator = JobSchema.migrator(sources: sources)
        if try database.read(migrator.hasBeenSuperseded) {
            throw JobStoreError(
                code: .newer,
                message:
                    "The job database '\(url.path)' was written by a newer version of Inkstone;"
                    + " run that version, or name another data folder with --data.")
        }
        try migrator.migrate(database)
        try enableShrinking(database, url)
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

    /// Writes everything into the database file and closes it, so that its log is empty; called last.
    ///
    /// - Throws: `JobStoreError`.
    public func close() throws {
        do {
            // Readers that are open would keep the log.
            database.invalidateReadOnlyConnections()
            try database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
            try database.close()
        } catch let error as DatabaseError {
            throw Self.describe(error)
        }
        // On a full disk the space of the log is kept for the next start.
        try? space.makeReserve()
    }

    // MARK: - Access

    /// A new job's id: `job-` and 20 letters and digits.
    package static func newID() -> String {
        let letters = Array("0123456789abcdefghijkmnpqrstuvwxyz")
        return "job-" + String((0..<20).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }
}
