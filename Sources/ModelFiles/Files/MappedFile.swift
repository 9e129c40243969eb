// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file mapped into memory for reading during the lifetime of the object.
///
/// Pages are read on first access. A checkpoint must be replaced by writing a new file and renaming
/// it: truncating a mapped file in place terminates every reader with a bus error, which no check
/// at opening can prevent.
final class MappedFile: @unchecked Sendable {
    // Unchecked: the mapping is read-only and neither moves nor ends before `deinit`.

    /// The content.
    let bytes: UnsafeRawBufferPointer
    /// Location of the file.
    let url: URL
    /// Distinguishes this file from a later one of the same name: device, inode, size and time of
    /// modification.
    let identity: String

    /// Maps a file.
    ///
    /// - Throws: `CheckpointError` of code `notFound`, `unreadable` or `denied`.
    init(_ url: URL) throws(CheckpointError) {
        self.url = url
        let name = url.path.quoted
        // Non-blocking: opening a named pipe would wait for a writer indefinitely.
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.openError(url, errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.openError(url, errno) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR:
            throw CheckpointError(
                code: .unreadable, message: "\(name) is a folder, expected a file.")
        default:
            throw CheckpointError(
                code: .unreadable, message: "\(name) is a device or a pipe, expected a file.")
        }
        let size = Int(status.st_size)
        let changed = status.modified
        identity =
            "\(status.st_dev):\(status.st_ino) \(size) \(changed.tv_sec).\(changed.tv_nsec)"
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0),
            start != MAP_FAILED
        else { throw Self.openError(url, errno) }
        bytes = UnsafeRawBufferPointer(start: start, count: size)
    }

    deinit {
        if let start = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
        }
    }

    private static func openError(_ url: URL, _ number: Int32) -> CheckpointError {
        let name = url.path.quoted
        return switch number {
        case ENOENT, ENOTDIR:
            CheckpointError(
                code: .notFound, message: "\(name) does not exist.", remedy: "Check the path.")
        case EACCES, EPERM: CheckpointError(denied: url)
        case ELOOP:
            CheckpointError(
                code: .unreadable, message: "\(name) is a symbolic link that leads to itself.",
                remedy: "Replace the link with the file.")
        default:
            CheckpointError(
                code: .unreadable,
                message: "\(name) cannot be opened: \(String(cString: strerror(number))).")
        }
    }

    // MARK: Memory

    /// Releases the memory of a range; reading it again reads the file again.
    static func releasePages(of bytes: UnsafeRawBufferPointer) {
        // Not POSIX_MADV_DONTNEED: glibc makes that a no-op.
        advise(bytes, MADV_DONTNEED)
    }

    /// Asks the system to read a range ahead.
    static func willNeed(_ bytes: UnsafeRawBufferPointer) {
        advise(bytes, MADV_WILLNEED)
    }

    private static func advise(_ bytes: UnsafeRawBufferPointer, _ advice: Int32) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
        // Rounded outwards to whole pages: the mapping is never written, so data that shares a page is
        // only read again.
        let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
        let first = UInt(bitPattern: start) / page * page
        let length = UInt(bitPattern: start) + UInt(bytes.count) - first
        guard let address = UnsafeMutableRawPointer(bitPattern: first) else { return }
        madvise(address, Int(length), advice)
    }
}
