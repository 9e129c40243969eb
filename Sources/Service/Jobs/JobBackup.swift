// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import GRDB

/// A copy of a data folder that a server may be using at the same time.
public enum JobBackup {
    /// Copies jobs, images, source images, keys and the secret of links into a new folder, which can serve as a
    /// data folder itself.
    ///
    /// The database is copied as it is at one moment. Image files never change, so they are linked where
    /// both folders are on one disk. A copy that fails is removed.
    ///
    /// - Returns: The number of image files in the copy.
    /// - Throws: `JobStoreError` of code `unusable`, `notFound`, `damaged` or `full`.
    public static func copy(_ folder: URL, to target: URL) throws -> Int {
        let files = FileManager.default
        guard !files.fileExists(atPath: target.path) else {
            throw JobStoreError(
                code: .unusable,
                message: "'\(target.path)' exists already; name a folder that is not there yet.")
        }
        try checkReading(folder)
        let source = folder.appending(path: "jobs.sqlite")
        guard files.fileExists(atPath: source.path) else {
            throw JobStoreError(
                code: .notFound,
                message: "There are no jobs in '\(folder.path)'; name the data folder with --data.")
        }
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        let original: DatabaseQueue
        do {
            original = try DatabaseQueue(path: source.path, configuration: configuration)
        } catch let error as DatabaseError { throw failure(error, of: source) }
        defer { try? original.close() }
        return try copy(folder, reading: original, to: target)
    }

    /// Refuses a folder that this user may not read: it is not empty.
    ///
    /// - Throws: `JobStoreError` of code `denied`.
    static func checkReading(_ folder: URL) throws(JobStoreError) {
        let database = folder.appending(path: "jobs.sqlite").path
        let barriers = [folder.path, database].lazy.compactMap(FileKind.barrier(before:))
        guard let barrier = barriers.first else { return }
        throw JobStoreError(
            code: .denied,
            message:
                "The folder '\(folder.path)' may not be read by this user: '\(barrier)' is closed to it"
                + " (permission denied); run this as the owner, such as with sudo -u.")
    }

    /// Copies a folder whose database is open.
    ///
    /// - Parameters:
    ///   - folder: The data folder.
    ///   - database: Its database.
    ///   - target: The folder of the copy, which does not exist.
    ///   - complete: Adds further files to the copy, before it has its name.
    /// - Returns: The number of image files in the copy.
    /// - Throws: `JobStoreError`, or what `complete` throws.
    static func copy(
        _ folder: URL, reading database: any DatabaseReader, to target: URL,
        complete: (URL) throws -> Void = { _ in }
    ) throws -> Int {
        let partial = URL(
            filePath: target.path + DataFolder.partialInfix + UUID().uuidString.prefix(8))
        defer { try? FileManager.default.removeItem(at: partial) }
        do {
            let count = try fill(partial, from: folder, database)
            try complete(partial)
            _ = try DataFolder.open(partial)
            DataFolder.synchronize(partial)
            try FileManager.default.moveItem(at: partial, to: target)
            return count
        } catch let error as DatabaseError {
            throw failure(error, of: folder.appending(path: "jobs.sqlite"))
        } catch let error as CocoaError {
            throw JobStoreError(
                code: error.code == .fileWriteOutOfSpace ? .full : .unusable,
                message:
                    "'\(target.path)' cannot be written: \(error.localizedDescription); check the"
                    + " room and the permissions of its parent.")
        }
    }

    private static func fill(
        _ target: URL, from folder: URL, _ database: any DatabaseReader
    ) throws -> Int {
        let files = FileManager.default
        _ = try DataFolder.open(target)
        for name in ["pictures", "sources"] {
            try files.createDirectory(
                at: target.appending(path: name), withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        }
        let names = try copyDatabase(database, to: target.appending(path: "jobs.sqlite"))
        let count = try copyImages(
            names.images, from: folder.appending(path: "pictures"),
            to: target.appending(path: "pictures"))
        _ = try copyImages(
            names.sources, from: folder.appending(path: "sources"),
            to: target.appending(path: "sources"))
        // Without the second one a copy made while the keys are away would be open.
        for name in DataFolder.keyNames + [LinkSigner.fileName] {
            let file = folder.appending(path: name)
            guard files.fileExists(atPath: file.path) else { continue }
            try files.copyItem(at: file, to: target.appending(path: name))
        }
        return count
    }

    private static func failure(_ error: DatabaseError, of source: URL) -> JobStoreError {
        let reason = error.message ?? "no reason given"
        return switch error.resultCode {
        case .SQLITE_FULL, .SQLITE_IOERR:
            JobStoreError(
                code: .full,
                message: "There is not enough space for a copy of '\(source.path)': \(reason).")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            JobStoreError(
                code: .damaged,
                message: "The job database '\(source.path)' is damaged and cannot be copied:"
                    + " \(reason).")
        default:
            JobStoreError(
                code: .unusable,
                message: "The job database '\(source.path)' cannot be copied: \(reason).")
        }
    }

    /// - Returns: The names of all files of images and of sources that the copy refers to.
    private static func copyDatabase(
        _ original: any DatabaseReader, to target: URL
    ) throws -> (images: Set<String>, sources: Set<String>) {
        DataFolder.makeFile(target)
        let copy = try DatabaseQueue(path: target.path)
        try original.backup(to: copy)
        let names = try copy.read(fileNames)
        try copy.close()
        return names
    }

    /// The names of all files that rows refer to, also in a database of an earlier version, which contains
    /// the sources itself.
    static func fileNames(_ db: Database) throws -> (images: Set<String>, sources: Set<String>) {
        let hasFiles = try db.columns(in: "job").contains { $0.name == "sourceFile" }
        return (
            try String.fetchSet(db, sql: "SELECT file FROM picture"),
            try hasFiles
                ? String.fetchSet(
                    db,
                    sql: """
                        SELECT sourceFile FROM job WHERE sourceFile IS NOT NULL
                        UNION SELECT maskFile FROM job WHERE maskFile IS NOT NULL
                        """) : []
        )
    }

    private static func copyImages(
        _ names: Set<String>, from source: URL, to target: URL
    ) throws -> Int {
        let files = FileManager.default
        var count = 0
        for name in names {
            let path = "\(name.prefix(2))/\(name).png"
            let (old, new) = (source.appending(path: path), target.appending(path: path))
            // Removed meanwhile by the server's housekeeping.
            guard files.fileExists(atPath: old.path) else { continue }
            try files.createDirectory(
                at: new.deletingLastPathComponent(), withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            do {
                try files.linkItem(at: old, to: new)
            } catch {
                try files.copyItem(at: old, to: new)
            }
            count += 1
        }
        return count
    }
}
