// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif
#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A file mapped into memory for reading, for as long as the object lives.
///
/// Pages are read when they are touched. Whoever replaces a checkpoint must write a new file and
/// rename it: shortening a mapped file in place ends every reader with a bus error, which no check
/// made at opening can prevent.
final class MappedFile: @unchecked Sendable {
    // Unchecked: the mapping is read-only and neither moves nor ends before `deinit`.

    /// The content.
    let bytes: UnsafeRawBufferPointer
    /// Where the file was opened.
    let url: URL
    /// Tells this file from one that takes its name later: device, inode, size and time of change.
    let identity: String

    /// Maps a file.
    ///
    /// - Throws: `CheckpointError` of code `notFound` or `unreadable`.
    init(_ url: URL) throws(CheckpointError) {
        self.url = url
        let name = url.path.quoted
        // Non-blocking: opening a named pipe would wait for a writer for ever.
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.openError(name, errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.openError(name, errno) }
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
        else { throw Self.openError(name, errno) }
        bytes = UnsafeRawBufferPointer(start: start, count: size)
    }

    deinit {
        if let start = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
        }
    }

    private static func openError(_ name: String, _ number: Int32) -> CheckpointError {
        switch number {
        case ENOENT, ENOTDIR:
            CheckpointError(
                code: .notFound, message: "\(name) does not exist.", remedy: "Check the path.")
        case EACCES, EPERM:
            CheckpointError(
                code: .unreadable, message: "\(name) may not be read by this user.",
                remedy: "Change its permissions.")
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

    /// Lets the system take back the memory of some bytes; reading them again reads the file again.
    static func releasePages(of bytes: UnsafeRawBufferPointer) {
        // Not POSIX_MADV_DONTNEED: glibc makes that a no-op.
        advise(bytes, MADV_DONTNEED)
    }

    /// Asks the system to read some bytes ahead.
    static func willNeed(_ bytes: UnsafeRawBufferPointer) {
        advise(bytes, MADV_WILLNEED)
    }

    private static func advise(_ bytes: UnsafeRawBufferPointer, _ advice: Int32) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
        // Outwards to whole pages: the mapping is never written, so a neighbour that shares a page
        // loses nothing but time.
        let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
        let first = UInt(bitPattern: start) / page * page
        let length = UInt(bitPattern: start) + UInt(bytes.count) - first
        guard let address = UnsafeMutableRawPointer(bitPattern: first) else { return }
        madvise(address, Int(length), advice)
    }
}
