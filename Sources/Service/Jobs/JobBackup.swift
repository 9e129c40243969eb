// Part of Inkstone. Licence: see LICENSE.

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
    /// - Throws: `JobStoreError` of code `unusable` or `full`.
    public static func copy(_ folder: URL, to target: URL) throws -> Int {
        let files = FileManager.default
        guard !files.fileExists(atPath: target.path) else {
            throw JobStoreError(
                code: .unusable,
                message: "'\(target.path)' exists already; name a folder that is not there yet.")
        }
        let source = folder.appending(path: "jobs.sqlite")
        guard files.fileExists(atPath: source.path) else {
            throw JobStoreError(
                code: .unusable,
                message: "There are no jobs in '\(folder.path)'; name the data folder with --data.")
        }
        let partial = URL(filePath: target.path + ".partial-\(UUID().uuidString.prefix(8))")
        defer { try? files.removeItem(at: partial) }
        do {
            _ = try DataFolder.open(partial)
            for name in ["pictures", "sources"] {
                try files.createDirectory(
                    at: partial.appending(path: name), withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o700])
            }
            let names = try copyDatabase(source, to: partial.appending(path: "jobs.sqlite"))
            let count = try copyImages(
                names.images, from: folder.appending(path: "pictures"),
                to: partial.appending(path: "pictures"))
            _ = try copyImages(
                names.sources, from: folder.appending(path: "sources"),
                to: partial.appending(path: "sources"))
            // Without the second one a copy made while the keys are away would be open.
            for name in ["keys.json", "keys.required", LinkSigner.fileName] {
                let file = folder.appending(path: name)
                guard files.fileExists(atPath: file.path) else { continue }
                try files.copyItem(at: file, to: partial.appending(path: name))
            }
            _ = try DataFolder.open(partial)
            try files.moveItem(at: partial, to: target)
            return count
        } catch let error as DatabaseError {
            throw JobStoreError(
                code: .unusable,
                message: "The job database '\(source.path)' cannot be copied:"
                    + " \(error.message ?? "no reason given").")
        } catch let error as CocoaError {
            throw JobStoreError(
                code: error.code == .fileWriteOutOfSpace ? .full : .unusable,
                message:
                    "'\(target.path)' cannot be written: \(error.localizedDescription); check the"
                    + " room and the permissions of its parent.")
        }
    }

    /// - Returns: The names of all files of images and of sources that the copy refers to.
    private static func copyDatabase(
        _ source: URL, to target: URL
    ) throws -> (images: Set<String>, sources: Set<String>) {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        let original = try DatabaseQueue(path: source.path, configuration: configuration)
        DataFolder.makeFile(target)
        let copy = try DatabaseQueue(path: target.path)
        try original.backup(to: copy)
        let names = try copy.read { db in
            // A database of an earlier version, which contains the sources itself.
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
        try copy.close()
        return names
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
