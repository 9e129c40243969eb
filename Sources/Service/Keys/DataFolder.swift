// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// The data folder of a server: prompts, images, keys, which no other user of the machine may read.
public enum DataFolder {
    /// Folders in it that contain data of clients.
    private static let folders = ["", "pictures", "sources", "loras"]
    /// Files in it, beside databases that were set aside.
    private static let files = [
        "jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm", "keys.json", "link-secret", "lock",
    ]

    /// Makes a data folder, or withdraws other users' access to one that exists.
    ///
    /// Only the mode of what this user owns is changed.
    ///
    /// - Returns: a sentence for each file and folder that others can still read.
    /// - Throws: an error of the file system if the folder cannot be made.
    public static func open(_ folder: URL) throws -> [String] {
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        let damaged = names.filter { $0.hasPrefix("jobs.damaged-") }
        return (folders + files + damaged).compactMap { name in
            restrict(name.isEmpty ? folder.path : folder.appending(path: name).path)
        }
    }

    /// Makes an empty file that only its owner can read, unless there is one.
    package static func makeFile(_ url: URL) {
        let descriptor = Foundation.open(url.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor >= 0 { close(descriptor) }
    }

    /// Withdraws the access of group and others.
    ///
    /// - Returns: a sentence if others have access nevertheless.
    private static func restrict(_ path: String) -> String? {
        let files = FileManager.default
        let path = URL(filePath: path).resolvingSymlinksInPath().path
        guard let attributes = try? files.attributesOfItem(atPath: path),
            let mode = attributes[.posixPermissions] as? Int, mode & 0o077 != 0
        else { return nil }
        var reason = "it belongs to another user"
        if (attributes[.ownerAccountID] as? NSNumber)?.uint32Value == geteuid() {
            do {
                try files.setAttributes([.posixPermissions: mode & 0o700], ofItemAtPath: path)
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
