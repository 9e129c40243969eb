// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Whether a server uses a data folder, has left it, or was killed.
struct FolderState: Equatable {
    /// Whether a server uses the folder.
    let isInUse: Bool
    /// The server's process, where the system says which one it is.
    let process: Int32?
    /// Whether the last server was killed: it left a log, which a regular end moves into the database.
    let wasKilled: Bool

    /// Looks at the lock of a folder, without holding it longer than a moment.
    init(of folder: URL) {
        let lock = folder.appending(path: DataFolder.lockName)
        isInUse = Self.isHeld(lock.path)
        process = isInUse ? Self.holder(lock.path) : nil
        let log = DataFolder.size(of: folder.appending(path: "jobs.sqlite-wal")) ?? 0
        wasKilled = !isInUse && log > 0
    }

    /// The state in words.
    var text: String {
        if isInUse {
            "in use by a server" + (process.map { ", process \($0)" } ?? "")
                + "; what it is working on is not checked"
        } else if wasKilled {
            "not in use; its last server was killed, and the next start continues from its log"
        } else {
            "not in use"
        }
    }

    /// Whether a process holds the lock of a file for longer than a moment, as one that ends may do.
    private static func isHeld(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        for attempt in 0..<5 {
            if attempt > 0 { usleep(20_000) }
            // A server that starts at this moment tries several times.
            if flock(descriptor, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK { return false }
        }
        return true
    }

    /// The process that holds the lock of a file; the system's lists may lack an entry while others change.
    private static func holder(_ path: String) -> Int32? {
        for attempt in 0..<5 {
            if attempt > 0 { usleep(20_000) }
            if let process = listedHolder(path) { return process }
        }
        return nil
    }

    /// The process that holds the lock of a file, as Linux lists it: `1: FLOCK ADVISORY WRITE 4711
    /// 08:01:1234 0 EOF`, with the numbers of the device and of the file.
    private static func listedHolder(_ path: String) -> Int32? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let inode = attributes[.systemFileNumber] as? NSNumber,
            let locks = text("/proc/locks")
        else { return nil }
        let number = ":\(inode)"
        for line in locks.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 5, fields[1] == "FLOCK", fields[3] == "WRITE",
                fields[5].hasSuffix(number), let process = Int32(fields[4]), process > 0,
                isOpen(path, in: process)
            else { continue }
            return process
        }
        return nil
    }

    /// The text of a file of the system, which has no size and is delivered in parts of a page at most.
    private static func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var (bytes, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 65_536))
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether a process has a file open: equal numbers of files exist on several devices.
    private static func isOpen(_ path: String, in process: Int32) -> Bool {
        let folder = "/proc/\(process)/fd"
        let path = URL(filePath: path).resolvingSymlinksInPath().path
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.contains {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")) == path
        }
    }
}
