// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Foundation
import ModelFiles
import Synchronization

/// A folder for the workers' sockets that no other user may read.
package final class SocketFolder: Sendable {
    /// The beginning of a folder's name; six letters and digits follow.
    private static let prefix = "inkstone-"
    /// The file that the process of a folder locks.
    private static let lockName = "lock"

    package let path: String
    private let count = Atomic(0)
    /// Held as long as the process lives.
    private let lock: FileLock

    /// Makes a folder of mode 0700 with a unique name, and removes those of processes that were killed.
    ///
    /// - Throws: `LaunchError`.
    package init(in parent: URL) throws(LaunchError) {
        var parent = parent.path
        // The system takes paths of sockets up to about 100 bytes.
        if parent.utf8.count > 60 { parent = "/tmp" }
        Self.removeLeftovers(in: parent)
        var template = Array("\(parent)/inkstone-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw LaunchError(
                .failed,
                "cannot make a folder for the workers' sockets in \(parent):"
                    + " \(String(cString: strerror(errno))); set TMPDIR to a folder that can be"
                    + " written to.")
        }
        path = String(cString: made)
        do {
            lock = try FileLock(URL(filePath: "\(path)/\(Self.lockName)"), timeout: 1)
        } catch {
            rmdir(path)
            throw LaunchError(
                .failed,
                "cannot lock the folder for the workers' sockets in \(parent); set TMPDIR to a"
                    + " folder whose file system has locks.")
        }
    }

    /// Removes folders whose lock no process holds.
    ///
    /// A folder without a lock is that of a server of version 0.1, or is being made: it stays.
    private static func removeLeftovers(in parent: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        for name in names
        where name.hasPrefix(prefix) && name.utf8.count == prefix.utf8.count + 6 {
            let folder = "\(parent)/\(name)"
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder)
            guard attributes?[.type] as? FileAttributeType == .typeDirectory,
                attributes?[.ownerAccountID] as? Int == Int(geteuid()),
                LeftoverFile.remove("\(folder)/\(lockName)")
            else { continue }
            try? FileManager.default.removeItem(atPath: folder)
        }
    }

    /// Removes the folder of a gateway that was killed, if no other worker's socket is in it.
    ///
    /// The system closes the files of a process one after the other: the lock may be held for a moment after
    /// a worker noticed the end. Without success within a second the next start removes the folder.
    package static func removeIfAbandoned(_ folder: String) {
        for attempt in 0..<20 {
            if attempt > 0 { usleep(50_000) }
            LeftoverFile.remove("\(folder)/\(lockName)")
            if rmdir(folder) == 0 || errno == ENOENT { return }
        }
    }

    /// A path that no worker had before, so that a successor is not mistaken for a worker that has ended.
    func next() -> String {
        "\(path)/worker-\(count.wrappingAdd(1, ordering: .relaxed).newValue)"
    }

    /// Removes the socket of a worker that has ended.
    func remove(_ socket: String) { unlink(socket) }

    /// Removes the folder with the sockets of workers that were killed.
    package func remove() { try? FileManager.default.removeItem(atPath: path) }
}
