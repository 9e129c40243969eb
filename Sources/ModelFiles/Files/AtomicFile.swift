// Part of Inkstone. Licence: see LICENSE.

import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file that appears under its name complete or not at all.
final class AtomicFile {
    /// The final name.
    let url: URL

    private let temporary: String
    private var descriptor: Int32

    /// Creates a hidden file beside the final one.
    ///
    /// - Throws: `CheckpointError` of code `writeFailed`.
    init(_ url: URL) throws(CheckpointError) {
        self.url = url
        let folder = url.deletingLastPathComponent().path
        let suffix = String(UInt64.random(in: .min ... .max), radix: 36)
        temporary = "\(folder)/.\(url.lastPathComponent.prefix(100)).\(suffix).tmp"
        descriptor = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.failure(url, errno) }
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(temporary)
    }

    /// Writes bytes at an offset.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CheckpointError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(url, count < 0 ? errno : EIO) }
            done += count
        }
    }

    /// Reserves disk space, so that later writes to the range cannot fail for lack of space.
    func reserve(_ range: Range<Int>) throws(CheckpointError) {
        #if !canImport(Darwin)
            let result = posix_fallocate(
                descriptor, off_t(range.lowerBound), off_t(range.count))
            // File systems that cannot reserve say so when they are written to.
            if result != 0, result != EINVAL, result != EOPNOTSUPP, result != EINTR {
                throw Self.failure(url, result)
            }
        #endif
    }

    /// Asks the system to begin bringing some bytes to the disk, so that `commit` waits less.
    func startWriting(_ range: Range<Int>) {
        #if !canImport(Darwin)
            // Pages that still have to be written are not dropped by this, only queued.
            posix_fadvise(
                descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_DONTNEED)
        #endif
    }

    /// Maps bytes that were written; the mapping outlives the file's change of name, and its end.
    func map(_ range: Range<Int>) throws(CheckpointError) -> SharedMapping {
        guard let mapping = SharedMapping(descriptor, range) else {
            throw Self.failure(url, errno)
        }
        return mapping
    }

    /// Gives the file its final size.
    func extend(to size: Int) throws(CheckpointError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw Self.failure(url, errno) }
    }

    /// Brings the bytes that were written so far to the disk.
    func synchronize() throws(CheckpointError) {
        guard fsync(descriptor) == 0 else { throw Self.failure(url, errno) }
    }

    /// Brings the bytes to the disk and gives the file its name.
    func commit() throws(CheckpointError) {
        guard fsync(descriptor) == 0, rename(temporary, url.path) == 0 else {
            throw Self.failure(url, errno)
        }
        close(descriptor)
        descriptor = -1
        // The new name is an entry of the folder, which has to reach the disk as well; where
        // folders cannot be synchronised, the file is complete all the same.
        let folder = open(url.deletingLastPathComponent().path, O_RDONLY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    private static func failure(_ url: URL, _ number: Int32) -> CheckpointError {
        let remedy: String? =
            switch number {
            case ENOSPC, EDQUOT: "Free some disk space."
            case EACCES, EPERM, EROFS: "Choose a folder that this user may write to."
            case ENOENT, ENOTDIR: "Create the folder first."
            default: nil
            }
        return CheckpointError(
            code: .writeFailed,
            message: "\(url.path.quoted) cannot be written: \(String(cString: strerror(number))).",
            remedy: remedy)
    }
}
