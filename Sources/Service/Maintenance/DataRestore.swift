// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import GRDB

/// Puts a backup in the place of a data folder's jobs, images and keys.
public enum DataRestore {
    /// What a restore has done.
    public struct Result: Sendable {
        /// Which keys requests need now.
        public enum Keys: Sendable {
            /// There are none.
            case none
            /// Those of the backup.
            case restored
            /// Those that the folder had: the backup has none, and a folder that had keys stays closed.
            case retained
        }

        /// Number of image files in the backup.
        public let images: Int
        /// The folder with what was there before, if there was anything.
        public let replaced: URL?
        /// Which keys requests need now.
        public let keys: Keys
    }

    /// What a backup replaces in any case; SQLite would apply a log to the wrong database.
    private static let names = [
        "jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm", "pictures", "sources",
    ]

    /// Restores a backup.
    ///
    /// The backup is copied into the data folder first, with links to its images where both are on one disk.
    /// Only then the present files are moved into a folder of their own, and the copy takes their place. Until
    /// the end no server starts, although the program may be killed: the restore is run again then.
    ///
    /// - Parameters:
    ///   - backup: The folder of the backup, which is not changed.
    ///   - folder: The data folder, which is made if it is missing.
    /// - Returns: What was done.
    /// - Throws: `JobStoreError`; nothing has changed then, or the restore has to be run again.
    public static func restore(_ backup: URL, to folder: URL) throws -> Result {
        try check(backup, for: folder)
        _ = try JobStore.makeFolder(folder)
        let lock = try JobStore.lock(folder)
        defer { withExtendedLifetime(lock) {} }
        DataFolder.removePartialCopies(in: folder)
        let marker = folder.appending(path: DataFolder.restoringName)
        let copy = marker.appending(path: "copy")
        do {
            let partial = folder.appending(
                path: DataFolder.restoringName + DataFolder.partialInfix + "copy")
            let images = try JobBackup.copy(backup, to: partial)
            try FileManager.default.createDirectory(
                at: marker, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            // That of a restore that was interrupted.
            if exists(["copy"], in: marker) { try FileManager.default.removeItem(at: copy) }
            try FileManager.default.moveItem(at: partial, to: copy)
            DataFolder.synchronize(folder)
            let hasKeys = exists(DataFolder.keyNames, in: folder)
            let bringsKeys = exists(DataFolder.keyNames, in: copy)
            let replaced = try moveAside(
                names + (bringsKeys ? ["keys.json"] : [])
                    + (exists([LinkSigner.fileName], in: copy) ? [LinkSigner.fileName] : []),
                in: folder)
            // A folder that had keys stays closed, also where a restore is interrupted: its
            // keys.required is not moved.
            for name in DataFolder.contents(of: copy) where !exists([name], in: folder) {
                try FileManager.default.moveItem(
                    at: copy.appending(path: name), to: folder.appending(path: name))
            }
            DataFolder.synchronize(folder)
            // An upgrade that was interrupted is not continued: this is another database.
            try UpgradeCopy(of: folder).finish()
            try FileManager.default.removeItem(at: marker)
            return Result(
                images: images, replaced: replaced,
                keys: bringsKeys ? .restored : hasKeys ? .retained : .none)
        } catch let error as CocoaError {
            throw JobStoreError(
                code: error.code == .fileWriteOutOfSpace ? .full : .unusable,
                message: "The backup cannot be moved to '\(folder.path)':"
                    + " \(error.localizedDescription); check permissions and room, and run the"
                    + " command again.")
        }
    }

    private static func exists(_ names: [String], in folder: URL) -> Bool {
        names.contains {
            FileManager.default.fileExists(atPath: folder.appending(path: $0).path)
        }
    }

    /// Moves the present contents of the data folder into a subfolder.
    ///
    /// - Returns: That folder, or `nil` if there was nothing.
    private static func moveAside(_ names: [String], in folder: URL) throws -> URL? {
        let present = names.filter { exists([$0], in: folder) }
        guard !present.isEmpty else { return nil }
        let time = Date().formatted(.iso8601.dateSeparator(.omitted).timeSeparator(.omitted))
        var (name, number) = (DataFolder.replacedPrefix + time, 1)
        while exists([name], in: folder) {
            number += 1
            name = "\(DataFolder.replacedPrefix)\(time)-\(number)"
        }
        let target = folder.appending(path: name)
        try FileManager.default.createDirectory(
            at: target, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
        for name in present {
            try FileManager.default.moveItem(
                at: folder.appending(path: name), to: target.appending(path: name))
        }
        DataFolder.synchronize(target)
        return target
    }

    // MARK: - The backup

    /// Refuses what a server could not use, or would not be allowed to.
    private static func check(_ backup: URL, for folder: URL) throws {
        func path(_ url: URL) -> String { url.standardizedFileURL.resolvingSymlinksInPath().path }
        guard path(backup) != path(folder) else {
            throw JobStoreError(
                code: .unusable,
                message: "'\(backup.path)' is the data folder itself; name a folder that 'inkstone"
                    + " backup' has made, and the data folder with --data.")
        }
        try JobBackup.checkReading(backup)
        let url = backup.appending(path: "jobs.sqlite")
        guard DataFolder.size(of: url) ?? 0 > 0 else {
            throw JobStoreError(
                code: .notFound,
                message: "There is no backup in '\(backup.path)': it has no jobs.sqlite; name a"
                    + " folder that 'inkstone backup' has made.")
        }
        try checkOwner(of: folder)
        try checkDatabase(url)
    }

    /// Files that root makes in the folder of another user could not be used by the server.
    private static func checkOwner(of folder: URL) throws(JobStoreError) {
        let attributes = try? FileManager.default.attributesOfItem(atPath: folder.path)
        guard geteuid() == 0,
            let owner = (attributes?[.ownerAccountID] as? NSNumber)?.uint32Value, owner != 0
        else { return }
        let name = attributes?[.ownerAccountName] as? String ?? "#\(owner)"
        throw JobStoreError(
            code: .unusable,
            message:
                "The data folder '\(folder.path)' belongs to the user \(name), and files of root"
                + " would be of no use to its server; run 'sudo -u \(name) inkstone restore ...'.")
    }

    private static func checkDatabase(_ url: URL) throws {
        do {
            let database = try JobStore.reader(of: url)
            defer { try? database.close() }
            if let damage = try database.read(JobStore.damage) {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: damage)
            }
            let files = ImageFiles(existing: url.deletingLastPathComponent())
            guard try database.read(JobSchema.migrator(sources: files).hasBeenSuperseded) else {
                return
            }
        } catch let error as DatabaseError {
            throw JobStoreError(
                code: JobStore.isDamage(error) ? .damaged : .unusable,
                message: "The backup's database '\(url.path)' cannot be used:"
                    + " \(error.message ?? "no reason given"); restore another backup.")
        }
        throw JobStoreError(
            code: .newer,
            message:
                "The backup's database '\(url.path)' is of a newer version of Inkstone; restore"
                + " it with that version, or restore another backup.")
    }
}
