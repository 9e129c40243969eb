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
        let parent = Self.parent(parent)
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

    /// The folder in which socket folders are made where this one is for temporary files.
    private static func parent(_ temporary: URL) -> String {
        // The system takes paths of sockets up to about 100 bytes.
        temporary.path.utf8.count > 60 ? "/tmp" : temporary.path
    }

    /// Removes folders whose lock no process holds.
    private static func removeLeftovers(in parent: String) {
        for folder in candidates(in: parent) where LeftoverFile.remove("\(folder)/\(lockName)") {
            try? FileManager.default.removeItem(atPath: folder)
        }
    }

    /// The folders that servers which were killed have left, and the next one removes.
    package static func leftovers(in temporary: URL) -> [String] {
        candidates(in: parent(temporary)).filter { isAbandoned("\($0)/\(lockName)") }
    }

    /// Whether there is a lock, and no process holds it.
    private static func isAbandoned(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) == 0
    }

    /// Folders of this user with the name of a socket folder.
    ///
    /// One without a lock is that of a server of version 0.1, or is being made: it stays.
    private static func candidates(in parent: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        return names.filter {
            $0.hasPrefix(prefix) && $0.utf8.count == prefix.utf8.count + 6
        }.map { "\(parent)/\($0)" }.filter { folder in
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder)
            return attributes?[.type] as? FileAttributeType == .typeDirectory
                && attributes?[.ownerAccountID] as? Int == Int(geteuid())
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
