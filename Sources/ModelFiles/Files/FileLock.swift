// Part of Inkstone. Licence: see LICENSE.

package import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A lock held by one process at a time; the system releases it when the process ends.
package final class FileLock: Sendable {
    /// Why a lock cannot be acquired.
    package enum Failure: Error, Equatable {
        /// The file cannot be opened or locked; the `errno` value.
        case unusable(Int32)
        /// Another process holds it.
        case busy
    }

    private let descriptor: Int32

    /// Waits for the lock, at most `timeout` seconds.
    ///
    /// A process that is starting or ending may hold it for a moment.
    ///
    /// - Throws: `Failure`.
    package init(_ url: URL, timeout: Double) throws(Failure) {
        descriptor = open(url.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .unusable(errno) }
        for _ in 0..<max(1, Int(timeout * 10)) {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
            guard errno == EWOULDBLOCK || errno == EINTR else { throw .unusable(errno) }
            usleep(100_000)
        }
        throw .busy
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }
}
