// Part of Inkstone. Licence: see LICENSE.

import Foundation
import GRDB
import Imaging
import ModelFiles

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension JobStore {
    /// Makes the folder.
    ///
    /// - Returns: A sentence for each file that other users can read.
    /// - Throws: `JobStoreError` of code `unusable` or `denied`.
    static func makeFolder(_ folder: URL) throws(JobStoreError) -> [String] {
        do { return try DataFolder.open(folder) } catch {
            try checkAccess(to: folder)
            throw JobStoreError(
                code: .unusable,
                message: "The data folder '\(folder.path)' cannot be made: check that its parent"
                    + " may be written to, or name another with --data.")
        }
    }

    /// - Throws: `JobStoreError` of code `denied`.
    static func checkAccess(to folder: URL) throws(JobStoreError) {
        if let sentence = DataFolder.denial(of: folder) {
            throw JobStoreError(code: .denied, message: sentence)
        }
    }

    /// Keeps other servers, and programs that replace the files, out of a folder.
    ///
    /// - Throws: `JobStoreError` of code `unusable`, `denied` or `inUse`.
    static func lock(_ folder: URL) throws(JobStoreError) -> FileLock {
        do {
            return try FileLock(folder.appending(path: DataFolder.lockName), timeout: 2)
        } catch .unusable(let number) {
            try checkAccess(to: folder)
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

    /// Refuses a folder whose jobs are not there: with a new database the images would be removed as files
    /// without a job, and without its keys the folder would be open.
    ///
    /// Removes copies that a killed process did not complete.
    ///
    /// - Throws: `JobStoreError` of code `damaged`.
    static func checkContents(of folder: URL) throws(JobStoreError) {
        DataFolder.removePartialCopies(in: folder)
        guard !DataFolder.isBeingRestored(folder) else {
            throw JobStoreError(
                code: .damaged,
                message:
                    "The restore of a backup to '\(folder.path)' was interrupted; run 'inkstone"
                    + " restore BACKUP --data \(folder.path)' again.")
        }
        let url = folder.appending(path: "jobs.sqlite")
        let size = DataFolder.size(of: url)
        guard size ?? 0 == 0, DataFolder.containsJobFiles(folder) else { return }
        throw JobStoreError(
            code: .damaged,
            message: "The job database '\(url.path)' is \(size == nil ? "missing" : "empty"), but"
                + " there are files of its jobs. Nothing was changed. " + remedy(folder))
    }

    /// What to do about a database that cannot be used.
    static func remedy(_ folder: URL) -> String {
        let copy = UpgradeCopy(of: folder)
        let further = copy.record == nil ? "" : ", such as '\(copy.url.path)',"
        return "Restore a backup\(further) with 'inkstone restore BACKUP --data"
            + " \(folder.path)'; or, to begin without jobs, move jobs.sqlite*, pictures and sources"
            + " out of the folder."
    }

    // MARK: - The database

    /// Opens the database of a folder, upgraded if it is that of an earlier version.
    ///
    /// - Returns: The database, and the copy of before if it was upgraded.
    /// - Throws: `JobStoreError`.
    static func open(
        _ folder: URL, _ sources: ImageFiles, _ space: StorageSpace
    ) throws(JobStoreError) -> (DatabasePool, UpgradeCopy?) {
        let url = folder.appending(path: "jobs.sqlite")
        do {
            do {
                return try open(url, sources)
            } catch let error as DatabaseError where !isDamage(error) {
                // Opening needs some space too.
                guard space.releaseReserve() else { throw error }
                space.setFull(true)
                return try open(url, sources)
            }
        } catch let error as JobStoreError {
            throw error
        } catch let error as DatabaseError where isDamage(error) {
            throw JobStoreError(
                code: .damaged,
                message: "The job database '\(url.path)' is damaged"
                    + " (\(error.message ?? "no reason given")). Nothing was changed. "
                    + remedy(folder))
        } catch let error as ImagingError {
            throw JobStoreError(
                code: error.code == .diskFull ? .full : .unusable,
                message: "The source images of the job database '\(url.path)' cannot be moved into"
                    + " files: \(error)")
        } catch {
            try checkAccess(to: folder)
            let reason = (error as? DatabaseError)?.message ?? "\(error)"
            if let free = StorageSpace.freeBytes(at: folder), free < StorageSpace.reserveBytes {
                throw JobStoreError(
                    code: .full,
                    message:
                        "The disk of the data folder '\(folder.path)' is full (\(reason)); free"
                        + " some space and start again.")
            }
            throw JobStoreError(
                code: .unusable,
                message: "The job database '\(url.path)' cannot be opened: \(reason); check the"
                    + " folder's permissions and room, or name another with --data.")
        }
    }

    /// Whether a file is not a database, or one that contradicts itself.
    static func isDamage(_ error: DatabaseError) -> Bool {
        [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode)
    }

    private static func open(
        _ url: URL, _ sources: ImageFiles
    ) throws -> (DatabasePool, UpgradeCopy?) {
        // Before anything can write to the file or to its log.
        if DataFolder.size(of: url) ?? 0 > 0 { try check(url) }
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
            return (database, try migrate(database, url, sources))
        } catch {
            try? database.close()
            throw error
        }
    }

    /// Opens a database that is only read, also beside a server that uses it.
    static func reader(of url: URL) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(10)
        return try DatabaseQueue(path: url.path, configuration: configuration)
    }

    /// - Throws: `DatabaseError` of code `SQLITE_CORRUPT` or `SQLITE_NOTADB` for a damaged file, among others.
    private static func check(_ url: URL) throws {
        let database = try reader(of: url)
        defer { try? database.close() }
        if let damage = try database.read(damage) {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: damage)
        }
    }

    /// What SQLite finds wrong with a database first.
    static func damage(_ db: Database) throws -> String? {
        let text = try String.fetchOne(db, sql: "PRAGMA quick_check(1)")
        guard text != "ok" else { return nil }
        // The first line names the database.
        let lines = text?.split(separator: "\n").filter { !$0.hasPrefix("***") } ?? []
        return lines.isEmpty ? "no reason given" : lines.joined(separator: "; ")
    }

    private static func migrate(
        _ database: DatabasePool, _ url: URL, _ sources: ImageFiles
    ) throws -> UpgradeCopy? {
        let folder = url.deletingLastPathComponent()
        let migrator = JobSchema.migrator(sources: sources)
        if try database.read(migrator.hasBeenSuperseded) {
            throw JobStoreError(
                code: .newer,
                message:
                    "The job database '\(url.path)' was written by a newer version of Inkstone;"
                    + " run that version, \(UpgradeCopy(of: folder).advice(migrator))or name"
                    + " another data folder with --data.")
        }
        let copy = try UpgradeCopy.begin(folder, database, migrator)
        try migrator.migrate(database)
        try copy?.finish()
        try enableShrinking(database, url)
        return copy
    }
}
