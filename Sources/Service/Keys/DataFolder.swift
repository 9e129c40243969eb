// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation

/// The data folder of a server: prompts, images, keys, which no other user of the machine may read.
public enum DataFolder {
    /// The file that the process of a folder locks.
    package static let lockName = "lock"
    /// The folder of the copy that is made before an upgrade.
    package static let upgradeCopyName = "before-upgrade"
    /// The folder of a backup that is about to take the place of what is there.
    package static let restoringName = "restoring"
    /// The beginning of the names of folders with what a backup has replaced.
    package static let replacedPrefix = "replaced-"
    /// What the names of copies contain that are not complete.
    package static let partialInfix = ".partial-"

    /// The file of keys, and the one that records that there were keys.
    package static let keyNames = ["keys.json", "keys.required"]

    /// Folders in it that contain data of clients.
    private static let folders = [
        "", "pictures", "sources", "loras", upgradeCopyName, restoringName,
    ]
    /// Files in it.
    private static let files = [
        "jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm", "keys.json", "link-secret", lockName,
    ]

    /// Everything in a folder that other users must not read, beside what is in its folders.
    private static func closedNames(in folder: URL) -> [String] {
        // Earlier versions renamed damaged databases.
        let further = contents(of: folder).filter {
            $0.hasPrefix("jobs.damaged-") || $0.hasPrefix(replacedPrefix)
        }
        return folders + files + further
    }

    /// The names of what is in a folder.
    package static func contents(of folder: URL) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    }

    /// Bytes of a file, or `nil` if it is missing.
    package static func size(of url: URL) -> Int? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: url.path)
        return attributes?[.size] as? Int
    }

    /// Makes a data folder, or withdraws other users' access to one that exists.
    ///
    /// Only the mode of what this user owns is changed.
    ///
    /// - Returns: a sentence for each file and folder that others can still read.
    /// - Throws: an error of the file system if the folder cannot be made.
    public static func open(_ folder: URL) throws -> [String] {
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return closedNames(in: folder).compactMap { name in
            restrict(name.isEmpty ? folder.path : folder.appending(path: name).path)
        }
    }

    /// Why this user may not use a data folder, as a sentence; `nil` if it may, as far as permissions go.
    package static func denial(of folder: URL) -> String? {
        var place = folder.standardizedFileURL.path
        var barrier = FileKind.barrier(before: place)
        // A folder that is missing is made in the first one above it that exists.
        while barrier == nil, FileKind(path: place) == .nothing, place != "/" {
            place = URL(filePath: place).deletingLastPathComponent().path
        }
        if barrier == nil, Foundation.access(place, W_OK) != 0, [EACCES, EROFS].contains(errno) {
            barrier = place
        }
        return barrier.map {
            "The data folder '\(folder.path)' may not be used by this user: '\($0)' may not be read or written to"
                + " (permission denied); change its permissions, or name another folder with --data."
        }
    }

    /// Files and folders that other users can read, and whether they belong to this user, so that `open`
    /// withdraws the access.
    package static func openFiles(in folder: URL) -> [(path: String, isOwn: Bool)] {
        closedNames(in: folder).compactMap { name in
            let path = name.isEmpty ? folder.path : folder.appending(path: name).path
            guard let access = access(to: path), access.mode & 0o077 != 0 else { return nil }
            guard access.isOwn || access.mode & 0o007 != 0 else { return nil }
            return (access.path, access.isOwn)
        }
    }

    /// Removes copies that a killed process did not complete.
    package static func removePartialCopies(in folder: URL) {
        for name in partialCopies(in: folder) {
            try? FileManager.default.removeItem(at: folder.appending(path: name))
        }
    }

    /// The names of copies that are not complete.
    package static func partialCopies(in folder: URL) -> [String] {
        contents(of: folder).filter { name in
            [upgradeCopyName, restoringName].contains { name.hasPrefix($0 + partialInfix) }
        }
    }

    /// Whether a backup was about to take the place of what is in the folder when its program ended.
    package static func isBeingRestored(_ folder: URL) -> Bool {
        FileManager.default.fileExists(atPath: folder.appending(path: restoringName).path)
    }

    /// Whether there are files that belong to jobs: a database's log, images or sources.
    package static func containsJobFiles(_ folder: URL) -> Bool {
        if size(of: folder.appending(path: "jobs.sqlite-wal")) ?? 0 > 0 { return true }
        return ["pictures", "sources"].contains { name in
            let images = folder.appending(path: name)
            return contents(of: images).contains { part in
                contents(of: images.appending(path: part)).contains { $0.hasSuffix(".png") }
            }
        }
    }

    /// Writes the names in a folder to the disk, where the file system can do that.
    package static func synchronize(_ folder: URL) {
        let descriptor = Foundation.open(folder.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    /// Makes an empty file that only its owner can read, unless there is one.
    package static func makeFile(_ url: URL) {
        let descriptor = Foundation.open(url.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor >= 0 { close(descriptor) }
    }

    /// The mode of a file, after links, and whether it belongs to this user.
    private static func access(to path: String) -> (path: String, mode: Int, isOwn: Bool)? {
        let path = URL(filePath: path).resolvingSymlinksInPath().path
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let mode = attributes[.posixPermissions] as? Int
        else { return nil }
        let owner = (attributes[.ownerAccountID] as? NSNumber)?.uint32Value
        return (path, mode, owner == geteuid())
    }

    /// Withdraws the access of group and others.
    ///
    /// - Returns: a sentence if others have access nevertheless.
    private static func restrict(_ path: String) -> String? {
        guard let (path, mode, isOwn) = access(to: path), mode & 0o077 != 0 else { return nil }
        var reason = "it belongs to another user"
        if isOwn {
            do {
                try FileManager.default.setAttributes(
                    [.posixPermissions: mode & 0o700], ofItemAtPath: path)
                return nil
            } catch { reason = error.localizedDescription }
        } else if mode & 0o007 == 0 {
            // The group was chosen by the folder's owner, as for a volume of a container.
            return nil
        }
        return "Other users of this machine can read '\(path)', and its mode cannot be changed:"
            + " \(reason); run 'chmod go= \(path)' as its owner."
    }
}
