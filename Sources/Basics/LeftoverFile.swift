// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Temporary files that a process locks while it writes them, and that remain where it is killed.
package enum LeftoverFile {
    /// Marks an open file as one that a process is writing, until it closes the descriptor or ends.
    ///
    /// A file system without locks leaves it unmarked.
    package static func lock(_ descriptor: Int32) {
        _ = flock(descriptor, LOCK_EX | LOCK_NB)
    }

    /// Removes a file, unless a process is writing it.
    ///
    /// - Returns: Whether it was removed.
    @discardableResult
    package static func remove(_ path: String) -> Bool {
        let descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // A writer that commits in between has renamed the file: its new name stays.
        return flock(descriptor, LOCK_EX | LOCK_NB) == 0 && unlink(path) == 0
    }
}
