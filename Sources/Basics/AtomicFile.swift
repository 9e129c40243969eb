// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    package import Glibc
#elseif canImport(Musl)
    package import Musl
#else
    package import Darwin
#endif

/// A file that appears under its name complete or not at all, even after a crash.
///
/// The bytes are written to a temporary file in the same folder, which is renamed by ``commit()``. It
/// is locked until then, which distinguishes it from one of a killed process (``LeftoverFile``).
package final class AtomicFile<Failure: Error> {
    /// The final path.
    package let path: String
    /// The open temporary file.
    package private(set) var descriptor: Int32

    private let folder: String
    private let temporary: String
    /// Converts a value of `errno` to the error that is thrown.
    package let failure: (_ number: Int32) -> Failure

    /// Creates a temporary file.
    ///
    /// - Parameters:
    ///   - path: The final path.
    ///   - folder: The folder of `path`.
    ///   - prefix: The beginning of the temporary file's name.
    ///   - permissions: Permissions of the new file, which the process's mask restricts.
    ///   - failure: Converts a value of `errno` to the error that is thrown here and below.
    /// - Throws: The error of `failure`.
    package init(
        _ path: String, in folder: String, prefix: String, permissions: mode_t,
        failure: @escaping (_ number: Int32) -> Failure
    ) throws(Failure) {
        self.path = path
        self.folder = folder
        self.failure = failure
        let suffix = String(UInt64.random(in: .min ... .max), radix: 36)
        temporary = "\(folder)/\(prefix)\(suffix).tmp"
        descriptor = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, permissions)
        guard descriptor >= 0 else { throw failure(errno) }
        LeftoverFile.lock(descriptor)
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(temporary)
    }

    /// Writes bytes at an offset.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(Failure) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(count < 0 ? errno : EIO) }
            done += count
        }
    }

    /// Sets permissions independent of the process's mask.
    package func setPermissions(_ permissions: mode_t) throws(Failure) {
        try check(fchmod(descriptor, permissions))
    }

    /// Reserves space on the disk, so that a later write of the range does not run out of space.
    package func reserve(_ range: Range<Int>) throws(Failure) {
        #if !canImport(Darwin)
            let result = posix_fallocate(
                descriptor, off_t(range.lowerBound), off_t(range.count))
            // File systems that cannot reserve space report a full disk when it is written.
            if result != 0, result != EINVAL, result != EOPNOTSUPP, result != EINTR {
                throw failure(result)
            }
        #endif
    }

    /// Starts writing a range to the disk, so that ``commit()`` waits less.
    package func startWriting(_ range: Range<Int>) {
        #if !canImport(Darwin)
            // Pages that are not written yet are queued, not dropped.
            posix_fadvise(
                descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_DONTNEED)
        #endif
    }

    /// Sets the size of the file.
    package func extend(to size: Int) throws(Failure) {
        try check(ftruncate(descriptor, off_t(size)))
    }

    /// Writes all bytes to the disk.
    package func synchronize() throws(Failure) { try check(fsync(descriptor)) }

    /// Writes all bytes to the disk, gives the file its name and closes it.
    package func commit() throws(Failure) {
        try synchronize()
        // Network file systems report a full disk when a file is closed.
        let copy = descriptor
        descriptor = -1
        guard close(copy) == 0, rename(temporary, path) == 0 else {
            let number = errno
            unlink(temporary)
            throw failure(number)
        }
        // The name is an entry of the folder, which is written separately. A file system that cannot
        // do that has a complete file nevertheless.
        let entries = open(folder, O_RDONLY | O_CLOEXEC)
        if entries >= 0 {
            fsync(entries)
            close(entries)
        }
    }

    private func check(_ result: Int32) throws(Failure) {
        guard result == 0 else { throw failure(errno) }
    }
}
